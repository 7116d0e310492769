import type { Platform } from '../../feeds/platform';
import { ago, bytes, latency, length, listed, NOTHING, number, percent } from '../../logic/format';
import { hostOf, type ReplicaHealth, STALE_MS, type State } from '../../logic/parts';
import type { Sample } from '../../logic/promjson';
import { isRecord, type Result } from '../../logic/result';
import { h, write } from '../../parts/dom';
import { type Column, Table } from '../../parts/table';
import type { ReplicaFigures } from './queries';

interface Row {
  name: string;
  state: State;
  words: string;
  since: string;
  figures: Record<'streams' | 'delivered' | 'lag' | 'p99' | 'cpu' | 'memory', number | null>;
  limit: number | null;
  version: string;
}

const COLUMNS: Column<Row>[] = [
  { title: 'Replica', text: (row) => row.name },
  { title: 'State', text: (row) => row.words, state: (row) => row.state },
  { title: 'Since', text: (row) => row.since },
  { title: 'Streams', text: (row) => number(row.figures.streams), figure: true },
  { title: 'Events/s', text: (row) => number(row.figures.delivered), figure: true },
  { title: 'Lag', text: (row) => number(row.figures.lag), figure: true },
  { title: 'p99', text: (row) => latency(row.figures.p99).join(' ').trim(), figure: true },
  { title: 'CPU', text: (row) => (row.figures.cpu === null ? NOTHING : percent(row.figures.cpu)), figure: true },
  {
    title: 'Memory',
    text: (row) => bytes(row.figures.memory),
    more: (row) => (row.limit === null || row.limit === 0 ? '' : `of at most ${bytes(row.limit)}`),
    figure: true,
  },
  { title: 'Release', text: (row) => row.version, more: () => 'the one that this replica was started from' },
];

/** The table of replicas: their own answers, and their figures by Prometheus. */
export class Replicas {
  readonly root: HTMLElement;
  figures: ReplicaFigures | null = null;
  private readonly table = new Table<Row>('Table of replicas', COLUMNS);
  private readonly note = h('p', { class: 'note' });
  private readonly readout = h('p', { class: 'readout' });
  /** Since when this page has seen a replica in its state. */
  private readonly seen = new Map<string, { state: State; since: number }>();

  constructor() {
    this.root = h(
      'section',
      { class: 'card', 'aria-labelledby': 'replicas-title' },
      h('div', { class: 'head' }, h('h2', { id: 'replicas-title' }, 'Replicas'), this.readout),
      this.table.root,
      this.note,
    );
  }

  draw(platform: Platform, search: string, now: number): void {
    const { value, at, failure } = platform.replicas;
    const stale = at === null || now - at > STALE_MS;
    const commits = commitsOf(platform.releases.value);
    const rows = (value ?? []).map((one) => this.row(one, stale, commits, now));
    const wanted = search.toLowerCase();
    const found = rows.filter((row) => wanted === '' || Object.values(row).join(' ').toLowerCase().includes(wanted));
    this.table.draw(found);
    this.table.root.hidden = found.length === 0;
    write(this.readout, at === null ? '' : `asked directly, ${ago(now - at)}`);
    write(this.note, this.words(rows.length, found.length, failure?.what ?? null, now));
  }

  private row(one: ReplicaHealth, stale: boolean, commits: ReadonlyMap<number, string>, now: number): Row {
    const state: State = stale ? 'unknown' : one.state;
    const before = this.seen.get(one.name);
    if (before?.state !== state) this.seen.set(one.name, { state, since: before === undefined ? Number.NaN : now });
    const of = (result: Result<Sample[]> | undefined): number | null => valueOf(result, one.name);
    const { figures } = this;
    const alive = state !== 'bad' || one.words !== 'does not answer';
    const own = (result: Result<Sample[]> | undefined): number | null => (alive ? of(result) : null);
    return {
      name: one.name,
      state,
      words: stale ? 'not known' : one.words,
      since: this.since(one.name, state, of(figures?.started), of(figures?.lastUp), now),
      figures: {
        streams: own(figures?.streams),
        delivered: own(figures?.delivered),
        lag: own(figures?.lag),
        p99: own(figures?.p99),
        cpu: own(figures?.cpu),
        memory: own(figures?.memory),
      },
      limit: of(figures?.limit),
      version: version(of(figures?.release), commits),
    };
  }

  /** A replica that answers: since its start. One that does not: since its last answer to Prometheus or to this page. */
  private since(name: string, state: State, started: number | null, lastUp: number | null, now: number): string {
    if (state === 'good') return started === null ? NOTHING : length(now - started * 1000);
    const page = this.seen.get(name)?.since ?? Number.NaN;
    if (Number.isFinite(page)) return length(now - page);
    return lastUp === null ? NOTHING : length(now - lastUp * 1000);
  }

  private words(all: number, found: number, failure: string | null, now: number): string {
    if (all === 0) return failure === null ? 'Not asked yet.' : `Not known: ${failure}`;
    if (found === 0) return 'No replica matches the search.';
    const { figures } = this;
    if (figures === null) return 'The figures are not asked yet.';
    const failed = Object.values(figures).find((one) => !one.ok);
    if (failed !== undefined && !failed.ok) return `The figures are not known: ${failed.failure.what}`;
    const missing = [
      ...(figures.limit.ok && figures.limit.value.length === 0
        ? ['CPU and memory are those of the process, not of the container']
        : []),
      ...(figures.release.ok && figures.release.value.length === 0
        ? ['Prometheus has no series that names the release']
        : []),
    ];
    const age = figures.streams.ok ? ago(now - figures.streams.at) : '';
    return `State and since when: each replica’s own answer. Figures: Prometheus, ${age}. ${missing.length > 0 ? `${listed(missing)}.` : ''}`;
  }
}

function valueOf(result: Result<Sample[]> | undefined, name: string): number | null {
  if (result === undefined || !result.ok) return null;
  return result.value.find(({ labels }) => hostOf(labels['instance'] ?? '') === name)?.value ?? null;
}

/** The commit of each release that the runs have written down. */
function commitsOf(file: unknown): ReadonlyMap<number, string> {
  const releases = isRecord(file) && Array.isArray(file['releases']) ? file['releases'].filter(isRecord) : [];
  return new Map(releases.map((one) => [Number(one['number']), String(one['commit'] ?? '').slice(0, 7)]));
}

/** While a release is rolled out, replicas differ. */
function version(number: number | null, commits: ReadonlyMap<number, string>): string {
  return number === null ? NOTHING : [String(number), commits.get(number)].filter(Boolean).join(' · ');
}

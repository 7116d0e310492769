import '../../style/topology.css';
import { Polled } from '../../feeds/polled';
import type { Matrix, Topology } from '../../logic/files';
import { eventsPerDot, type Flow, flows, flowSentence, type Rates } from '../../logic/flows';
import { ago } from '../../logic/format';
import { now } from '../../logic/moment';
import { holds, hostOf, passesOn, STALE_MS } from '../../logic/parts';
import { freshness, measuredNow, type Now, type Picture, picture } from '../../logic/topology';
import { calm, h, write } from '../../parts/dom';
import type { Mounted, Room, View } from '../view';
import { Drawing } from './drawing';
import { Panel } from './panel';
import { MatrixTable } from './table';

const FILES_MS = 10_000;
const MATRIX_MS = 20_000; // the largest file by far
const RATES_MS = 5_000;
const WINDOW = '30s';

export const view: View = {
  name: 'topology',
  key: '2',
  title: 'Topology',
  mount: (root, room) => new TopologyView(root, room),
};

class TopologyView implements Mounted {
  private readonly topology: Polled<Topology>;
  private readonly matrix: Polled<Matrix>;
  private readonly rates: Polled<Rates>;
  private readonly drawing = new Drawing((id) => this.choose(id === this.chosen ? '' : id));
  private readonly panel = new Panel(() => this.choose(''));
  private readonly table = new MatrixTable();
  private readonly trouble = h('p', { class: 'hole', role: 'status' });
  private readonly age = h('p', { class: 'note', role: 'status' });
  private readonly passing = h('p', { class: 'note' });
  private readonly key = h('ul', { class: 'strokes' });
  private readonly toggle = h('div', { class: 'ranges', role: 'group', 'aria-label': 'How it is shown' });
  private readonly body = h('div', { class: 'sides' });
  private ends: (() => void)[] = [];
  private chosen = '';
  private asMatrix = false;
  private text = '';
  private made: { topology: Topology; matrix: Matrix | null; picture: Picture } | null = null;

  constructor(
    root: HTMLElement,
    private readonly room: Room,
  ) {
    this.topology = new Polled(() => room.files.read('topology'), FILES_MS);
    this.matrix = new Polled(() => room.files.read('matrix'), MATRIX_MS);
    this.rates = new Polled(() => askRates(room), RATES_MS);
    const head = h('div', { class: 'head' }, h('h1', {}, 'Topology'), this.toggle);
    const feet = h('div', { class: 'feet' }, this.key, this.passing, this.age);
    this.body.append(
      h(
        'section',
        { class: 'card', 'aria-label': 'Topology' },
        head,
        this.trouble,
        this.drawing.root,
        this.table.root,
        feet,
      ),
      this.panel.root,
    );
    root.append(this.body);
    for (const [state, words] of LINES) this.key.append(h('li', {}, h('i', { 'data-state': state }), words));
    for (const one of [this.topology, this.matrix, this.rates]) one.changed(() => this.draw());
    room.search((text) => {
      this.text = text.trim().toLowerCase();
      this.draw();
    });
    room.escape(() => {
      if (this.chosen === '') return false;
      this.choose('');
      return true;
    });
  }

  show(parameters: URLSearchParams): void {
    this.asMatrix = parameters.get('as') === 'matrix';
    this.chosen = parameters.get('box') ?? '';
    this.hide();
    this.ends = [this.room.platform.changed(() => this.draw()), this.room.clock.each(() => this.draw())];
    for (const one of [this.topology, this.matrix, this.rates]) one.start();
    if (!this.asMatrix) this.drawing.show();
    this.draw();
  }

  hide(): void {
    for (const end of this.ends) end();
    this.ends = [];
    for (const one of [this.topology, this.matrix, this.rates]) one.stop();
    this.drawing.hide();
  }

  private choose(id: string): void {
    const before = this.chosen;
    this.chosen = id;
    this.room.keep(this.address());
    this.draw();
    if (id === '' && before !== '') this.drawing.focus(before);
    // On a phone the details are below the picture.
    const { top } = this.panel.root.getBoundingClientRect();
    if (id !== '' && top > window.innerHeight - 120)
      this.panel.root.scrollIntoView({ behavior: calm.matches ? 'auto' : 'smooth', block: 'nearest' });
  }

  private address(): Record<string, string> {
    return { as: this.asMatrix ? 'matrix' : '', box: this.chosen };
  }

  private draw(): void {
    const topology = this.topology.value;
    this.trouble.hidden = topology !== null;
    this.panel.root.hidden = this.asMatrix || !this.trouble.hidden;
    this.drawing.root.hidden = this.asMatrix || !this.trouble.hidden;
    this.table.root.hidden = !this.asMatrix || !this.trouble.hidden;
    this.key.hidden = this.drawing.root.hidden;
    this.passing.hidden = this.drawing.root.hidden;
    this.body.dataset['as'] = this.asMatrix ? 'matrix' : 'picture';
    this.drawToggle();
    if (topology === null) {
      const failure = this.topology.failure;
      write(this.trouble, failure === null ? 'Looking…' : `${failure.what} ${failure.advice}`);
      write(this.age, '');
      return;
    }
    this.drawAll(topology);
  }

  private drawAll(topology: Topology): void {
    const matrix = this.matrix.value;
    if (this.made?.topology !== topology || this.made.matrix !== matrix)
      this.made = { topology, matrix, picture: picture(topology, matrix) };
    const shown = this.made.picture;
    const { fresh, sentence } = freshness(matrix, this.releaseMade(topology.release), this.room.clock.now());
    const gone = this.topology.failure === null ? '' : ' This page cannot read the files of the runs now.';
    write(this.age, sentence + gone);
    this.age.dataset['state'] = fresh ? 'good' : 'old';
    if (this.asMatrix) return this.table.draw(matrix, shown, fresh);
    const now = this.known(matrix, fresh);
    this.drawing.draw(shown, now);
    this.drawing.select(this.chosen);
    this.drawing.filter(this.found(shown));
    this.panel.draw(shown.boxes.find((one) => one.id === this.chosen) ?? null, topology, shown, now);
    this.drawFlow(shown, now);
  }

  /** What Prometheus and the replicas say; what is too old is not known. */
  private known(matrix: Matrix | null, fresh: boolean): Now {
    const { targets, replicas, edge } = this.room.platform;
    const now = this.room.clock.now();
    const recent = (at: number | null): boolean => at !== null && now - at <= STALE_MS;
    const answering = new Map([['dashboard', 'This page is from it.']]);
    if (recent(targets.at)) answering.set('prometheus', 'It answers this page.');
    if (recent(edge.at) && passesOn(edge.value))
      answering.set('nginx', 'It passes the requests of this page on to a replica.');
    return {
      answering,
      silent: this.silent(now),
      targets: recent(targets.at) ? targets.value : null,
      replicas: recent(replicas.at) ? replicas.value : null,
      matrix,
      fresh,
    };
  }

  /** Whom the server of this page asks in vain, by short name. */
  private silent(now: number): ReadonlyMap<string, string> {
    const { edge, alerts, replicas } = this.room.platform;
    const recent = (at: number | null): boolean => at !== null && now - at <= STALE_MS;
    const found = new Map<string, string>();
    const code = (edge.value?.answer?.body as { code?: unknown } | undefined)?.code;
    if (recent(edge.at) && code === 'nginx-gone') found.set('nginx', 'It does not answer this page.');
    // Without a status nothing answers; where the replicas do, the server of this page is there.
    if (!holds(alerts, now) && (alerts.status === 502 || (alerts.status === null && recent(replicas.at))))
      found.set('prometheus', 'It does not answer this page.');
    return found;
  }

  private drawFlow(shown: Picture, now: Now): void {
    const known = this.rates.at !== null && this.room.clock.now() - this.rates.at <= STALE_MS;
    // A rate is of half a minute: along an edge whose end does not answer any more, nothing passes.
    const alive = { ...shown, edges: shown.edges.filter((one) => !now.fresh || measuredNow(one, shown, now)) };
    const found: Flow[] = known && this.rates.value !== null ? flows(alive, this.rates.value) : [];
    this.drawing.flow(found, eventsPerDot(found));
    const at =
      found.length > 0 && this.rates.at !== null
        ? ` Rates: Prometheus, ${ago(this.room.clock.now() - this.rates.at)}.`
        : '';
    const still = calm.matches ? ' Nothing moves, as this browser asks for less motion.' : '';
    write(this.passing, flowSentence(found, known) + at + (found.length > 0 ? still : ''));
  }

  private found(shown: Picture): ReadonlySet<string> | null {
    if (this.text === '') return null;
    const fits = (words: string): boolean => words.toLowerCase().includes(this.text);
    const boxes = shown.boxes.filter(
      (box) =>
        fits(box.title) ||
        box.containers.some((one) => [one.name, one.image, ...one.aliases, ...one.listens.map(String)].some(fits)),
    );
    return new Set(boxes.map((box) => box.id));
  }

  private releaseMade(number: number): number | null {
    const releases = this.room.platform.releases.value;
    const made = Date.parse(releases?.releases.find((one) => one.number === number)?.when ?? '');
    return Number.isNaN(made) ? null : made;
  }

  private drawToggle(): void {
    const buttons = [
      ['Picture', false],
      ['Matrix', true],
    ] as const;
    if (this.toggle.children.length === 0)
      for (const [words, asMatrix] of buttons) {
        const button = h('button', { type: 'button' }, words);
        button.addEventListener('click', () => {
          this.room.go('topology', { ...this.address(), as: asMatrix ? 'matrix' : '' });
        });
        this.toggle.append(button);
      }
    for (const [index, [, asMatrix]] of buttons.entries())
      this.toggle.children[index]?.setAttribute('aria-pressed', String(asMatrix === this.asMatrix));
  }
}

const LINES: readonly [state: string, words: string][] = [
  ['reached', 'measured: open'],
  ['broken', 'measured: closed'],
  ['unknown', 'not known'],
  ['outside', 'published port'],
];

async function askRates({ prometheus }: Room): ReturnType<ConstructorParameters<typeof Polled<Rates>>[0]> {
  const by = (metric: string): string => `sum by (instance) (rate(${metric}[${WINDOW}]))`;
  const [publishes, events, deliveries] = await Promise.all(
    [by('sse_publishes_total{outcome="accepted"}'), by('sse_events_total'), by('sse_deliveries_total')].map((one) =>
      prometheus.query(one),
    ),
  );
  for (const one of [publishes, events, deliveries]) if (one && !one.ok) return one;
  const map = (one: typeof publishes): Map<string, number> =>
    new Map((one?.ok ? one.value : []).map(({ labels, value }) => [hostOf(labels['instance'] ?? ''), value]));
  const value = { publishes: map(publishes), events: map(events), deliveries: map(deliveries) };
  return { ok: true, value, at: now() };
}

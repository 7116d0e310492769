import '../../style/releases.css';
import type { Releases } from '../../logic/files';
import { ago, length, number } from '../../logic/format';
import {
  chosen,
  done,
  doubtful,
  type Entry,
  entries,
  failed,
  type Only,
  outcomeWords,
  verifiedWords,
} from '../../logic/history';
import { command } from '../../logic/topology';
import { copied } from '../../parts/copied';
import { attribute, h, write } from '../../parts/dom';
import type { Mounted, Room, View } from '../view';

export const view: View = {
  name: 'releases',
  key: '5',
  title: 'Releases',
  mount: (root, room) => new ReleasesView(root, room),
};

const FILTERS: readonly [only: Only, words: string][] = [
  ['all', 'All'],
  ['releases', 'Releases'],
  ['failed', 'Failed'],
  ['others', 'Other runs'],
];

/** A release or a run in the list, and the moment that its time is told from. */
interface Item {
  root: HTMLElement;
  when: HTMLElement;
  at: number;
  drawn: string;
  /** Opens or closes it. */
  fill: () => void;
}

class ReleasesView implements Mounted {
  private readonly filters = h('div', { class: 'ranges', role: 'group', 'aria-label': 'What is shown' });
  private readonly list = h('ol', { class: 'story' });
  private readonly empty = h('p', { class: 'hole', role: 'status' });
  private readonly note = h('p', { class: 'note' });
  private readonly items = new Map<string, Item>();
  private readonly open = new Set<string>();
  private ends: (() => void)[] = [];
  private only: Only = 'all';
  private text = '';
  private asked: string | null = null;

  constructor(
    root: HTMLElement,
    private readonly room: Room,
  ) {
    for (const [only, words] of FILTERS) {
      const button = h('button', { type: 'button' }, words);
      button.addEventListener('click', () => room.go('releases', only === 'all' ? {} : { only }));
      this.filters.append(button);
    }
    const head = h('div', { class: 'head' }, h('h1', {}, 'Releases'), this.filters);
    root.append(
      h('section', { class: 'card', 'aria-label': 'Releases and runs' }, head, this.empty, this.list, this.note),
    );
    room.search((text) => {
      this.text = text;
      this.draw();
    });
    room.escape(() => {
      const some = this.open.size > 0;
      this.open.clear();
      this.draw();
      return some;
    });
  }

  show(parameters: URLSearchParams): void {
    const only = FILTERS.find(([name]) => name === parameters.get('only'))?.[0];
    this.only = only ?? 'all';
    this.asked = parameters.get('release');
    if (this.asked !== null) this.open.add(this.asked);
    this.hide();
    this.ends = [this.room.platform.releases.changed(() => this.draw()), this.room.clock.each(() => this.age())];
    void this.room.platform.releases.ask();
    this.draw();
  }

  hide(): void {
    for (const end of this.ends) end();
    this.ends = [];
  }

  private draw(): void {
    for (const [index, [only]] of FILTERS.entries())
      this.filters.children[index]?.setAttribute('aria-pressed', String(only === this.only));
    const { value, failure, asked } = this.room.platform.releases;
    if (value === null) {
      this.list.replaceChildren();
      write(this.empty, asked ? `${failure?.what ?? ''} ${failure?.advice ?? ''}` : 'Looking…');
      this.empty.hidden = false;
      write(this.note, '');
      return;
    }
    const all = entries(value);
    const shown = chosen(all, this.only, this.text);
    this.empty.hidden = shown.length > 0;
    write(this.empty, all.length === 0 ? 'Nothing was released here yet.' : 'Nothing fits this choice.');
    const items = shown.map((one) => this.item(one, value));
    // What stays where it is keeps the focus.
    const same =
      items.length === this.list.children.length && items.every((one, at) => one.root === this.list.children[at]);
    if (!same) this.list.replaceChildren(...items.map((one) => one.root));
    for (const one of items) one.fill();
    this.age();
    if (this.asked !== null) {
      this.items.get(this.asked)?.root.scrollIntoView({ block: 'nearest' });
      this.asked = null;
    }
  }

  /** Times grow old each second; nothing else does. */
  private age(): void {
    const now = this.room.clock.now();
    for (const one of this.items.values())
      write(one.when, Number.isNaN(one.at) ? 'at an unknown time' : ago(now - one.at));
    const { value, failure } = this.room.platform.releases;
    if (value === null) return;
    const written = ago(now - Date.parse(value.time));
    const gone = failure === null ? '' : ' This page cannot read it now.';
    write(
      this.note,
      `A run on the host wrote this ${written}; each run writes it anew.${gone} ./sse releases and ./sse history have more.`,
    );
  }

  private item(entry: Entry, file: Releases): Item {
    const drawn = JSON.stringify(entry);
    const known = this.items.get(entry.key);
    if (known?.drawn === drawn) return known;
    const item = this.make(entry, file);
    const made = { ...item, at: Date.parse(entry.when), drawn };
    this.items.set(entry.key, made);
    return made;
  }

  private make(entry: Entry, file: Releases): Pick<Item, 'root' | 'when' | 'fill'> {
    const when = h('time', { datetime: entry.when, title: entry.when });
    const state = failed(entry) ? 'bad' : doubtful(entry) ? 'warning' : entry.runsNow ? 'good' : 'past';
    const body = h('div', { class: 'opened', id: `more-${entry.key.replace(/\W/g, '-')}` });
    const title = entry.number === null ? entry.asked || 'A run' : `Release ${entry.number}`;
    const button = h(
      'button',
      { type: 'button', class: 'entry', 'aria-expanded': 'false', 'aria-controls': body.id },
      h('b', {}, title),
      h('span', { class: 'outcome', 'data-state': state }, outcomeWords(entry)),
      h('span', { class: 'meta' }, when, ...meta(entry)),
      h('span', { class: 'changed' }, entry.changed),
      entry.why === '' ? null : h('span', { class: 'why' }, entry.why),
      entry.error === '' ? null : h('span', { class: 'error' }, entry.error),
    );
    const root = h('li', { 'data-state': state }, button, body);
    const fill = (): void => {
      const shown = this.open.has(entry.key);
      body.hidden = !shown;
      attribute(button, 'aria-expanded', String(shown));
      if (shown && body.children.length === 0) body.append(...details(entry, file, this.room.clock.now()));
    };
    button.addEventListener('click', () => {
      if (!this.open.delete(entry.key)) this.open.add(entry.key);
      fill();
    });
    return { root, when, fill };
  }
}

function meta(entry: Entry): string[] {
  const who = entry.who === '' ? '' : ` by ${entry.who}`;
  const commit = entry.commit === '' ? '' : ` · ${entry.commit.slice(0, 7)}`;
  const took =
    entry.seconds === null
      ? ''
      : ` · took ${entry.seconds < 90 ? `${number(entry.seconds)} s` : length(entry.seconds * 1000)}`;
  return [who, commit, took].filter((one) => one !== '');
}

function details(entry: Entry, file: Releases, now: number): Node[] {
  const nodes: Node[] = [h('h2', {}, 'What changed'), ...changes(entry)];
  if (entry.number !== null) nodes.push(h('h2', {}, 'Verification'), ...verification(entry, now));
  if (entry.back !== '') {
    const words = command(entry.back, file.stack);
    nodes.push(
      h('h2', {}, 'The way back to it'),
      copied(words),
      note(
        `Secrets and data stay as they are. ${command(`./sse diff ${file.current} ${entry.number}`, file.stack)} shows what would change.`,
      ),
    );
  } else if (entry.runsNow) nodes.push(note('This release runs now.'));
  else if (failed(entry))
    nodes.push(
      note(
        file.current === 0
          ? 'Nothing runs.'
          : `Release ${file.current} runs. What failed was put back where that was possible.`,
      ),
    );
  return nodes;
}

function changes(entry: Entry): Node[] {
  if (entry.changes.length === 0 && entry.others.length === 0) return [h('p', {}, entry.changed)];
  const items = entry.changes.map((one) =>
    h('li', {}, h('b', {}, one.container), h('span', {}, done(one.kind)), h('code', {}, one.what.join(', '))),
  );
  return [h('ul', { class: 'changes' }, ...items, ...entry.others.map((one) => h('li', { class: 'whole' }, one)))];
}

function verification(entry: Entry, now: number): Node[] {
  if (entry.verification === null)
    return [note('No verification of this release is kept. ./sse verify verifies the one that runs.')];
  const { time, findings } = entry.verification;
  const items = findings.map((one) =>
    h('li', { class: 'whole', 'data-state': 'bad' }, h('b', {}, one.subject), ` ${one.wrong}`),
  );
  return [
    h('p', { 'data-state': findings.length > 0 ? 'bad' : 'good' }, verifiedWords(entry)),
    ...(items.length > 0 ? [h('ul', { class: 'changes' }, ...items)] : []),
    note(`Verified ${ago(now - Date.parse(time))}.`),
  ];
}

function note(text: string): HTMLElement {
  return h('p', { class: 'note' }, text);
}

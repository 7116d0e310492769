import type { StreamEvent } from 'sse-platform-client';
import { matcher } from '../../logic/filters';
import { clock, counted } from '../../logic/format';
import { ndjson } from '../../logic/exports';
import { type Row, Rows } from '../../logic/rows';
import { beginning, bytesOf, sizeOf, visible } from '../../logic/text';
import { attribute, h, write } from '../../parts/dom';
import { button, download, field } from '../../parts/field';
import { VirtualList } from '../../parts/virtual';

/** Ten drawings a second are more than one can read; between them, events cost only their place in the list. */
const DRAW_MS = 100;
/** What fits into a line, however wide the screen is. */
const PREVIEW = 400;

/** The list of events, with what filters and holds it. */
export class Log {
  readonly root: HTMLElement;
  readonly rows = new Rows();
  private readonly list: VirtualList;
  private readonly channel = field('filter-channel', 'Channel', filterField('orders.*'));
  private readonly name = field('filter-name', 'Event', filterField('created'));
  private readonly text = field('filter-text', 'Text', filterField('anything in the data'));
  private readonly readout = h('p', { class: 'readout', id: 'log-count' });
  private readonly more: HTMLButtonElement;
  private readonly pauseButton: HTMLButtonElement;
  private readonly empty = h('p', { class: 'empty', id: 'log-empty' });
  /** Whether the platform gives this page no stream. */
  refused = false;
  private selected: number | null = null;
  private paused = false;
  private seen = 0;
  private scheduled = false;
  private drawnAt = Number.NEGATIVE_INFINITY;
  private shown = false;
  private typing: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly choose: (row: Row) => void,
    private readonly keep: (filters: { channel: string; name: string; text: string }) => void,
  ) {
    const lines = h('div', { class: 'entries', id: 'log-lines', 'aria-label': 'Events, the newest first' });
    this.list = new VirtualList(lines, {
      count: () => this.rows.length,
      make: () => h('div', {}, h('time'), h('b'), h('span'), h('span'), h('span')),
      fill: (line, index) => fill(line, this.rows.at(index)),
      chosen: (index) => this.chosen(index),
      selected: () => (this.selected === null ? null : this.rows.placeOf(this.selected)),
    });
    lines.addEventListener('scroll', () => this.settle(), { passive: true });
    this.pauseButton = button('Pause', () => this.pause(!this.paused), { id: 'pause', 'aria-pressed': 'false' });
    this.more = button('', () => this.live(), { id: 'more', class: 'main' });
    this.more.hidden = true;
    for (const one of [this.channel, this.name, this.text])
      one.control.addEventListener('input', () => {
        clearTimeout(this.typing);
        this.typing = setTimeout(() => this.filtered(), 150);
      });
    this.root = h(
      'section',
      { class: 'card log', 'aria-labelledby': 'log-title' },
      h(
        'div',
        { class: 'head' },
        h('h2', { id: 'log-title' }, 'Live log'),
        this.readout,
        this.pauseButton,
        button('Export', () => this.export(), { id: 'export', title: 'Save what is shown as NDJSON' }),
        button('Clear', () => this.clear(), { id: 'clear' }),
      ),
      h('div', { class: 'filters', role: 'search' }, this.channel.root, this.name.root, this.text.root),
      h(
        'div',
        { class: 'window' },
        h(
          'div',
          { class: 'titles', 'aria-hidden': 'true' },
          ...['Arrived', 'Event', 'Channel', 'Data', 'Size'].map((title) => h('span', {}, title)),
        ),
        lines,
        this.empty,
        h('p', { class: 'newer' }, this.more),
      ),
    );
  }

  show(parameters: URLSearchParams): void {
    this.shown = true;
    for (const [one, name] of [
      [this.channel, 'channel'],
      [this.name, 'name'],
      [this.text, 'text'],
    ] as const)
      one.control.value = parameters.get(name) ?? '';
    this.filtered();
  }

  hide(): void {
    this.shown = false;
  }

  /** What a person types into the search field of the page. */
  search(text: string): void {
    this.text.control.value = text;
    this.filtered();
  }

  event(event: StreamEvent): Row {
    this.seen += 1;
    const own = event.type === 'gap' || event.type === 'bye';
    const row = this.rows.add({
      at: Date.now(),
      kind: own ? (event.type as 'gap' | 'bye') : 'event',
      channel: event.channel,
      event: event.type,
      data: event.data,
      id: event.id,
      time: event.time?.getTime() ?? null,
      traceparent: event.traceparent,
    });
    this.changed();
    return row;
  }

  /** A line of the page itself, between the events. */
  note(text: string): void {
    const nothing = { channel: null, id: null, time: null, traceparent: null };
    this.rows.add({ ...nothing, at: Date.now(), kind: 'note', event: '', data: text });
    this.changed();
  }

  /** Draws soon, together with what comes until then. */
  changed(): void {
    if (this.scheduled || !this.shown) return;
    this.scheduled = true;
    const frame = () =>
      requestAnimationFrame(() => {
        this.scheduled = false;
        this.drawnAt = performance.now();
        this.draw();
      });
    setTimeout(frame, Math.max(0, this.drawnAt + DRAW_MS - performance.now()));
  }

  select(row: Row | null): void {
    this.selected = row?.n ?? null;
    // Whoever has done with an event at the top sees the newest ones again.
    if (row === null) this.settle();
    this.changed();
  }

  clear(): void {
    this.rows.clear();
    this.seen = 0;
    this.changed();
  }

  private draw(): void {
    if (!this.shown) return;
    this.list.draw();
    const { rows } = this;
    const some = rows.length + rows.waiting < rows.kept ? `${counted(rows.length + rows.waiting, 'line')} of ` : '';
    const held = rows.held ? 'held still · ' : '';
    const full = rows.kept >= rows.most ? `, the newest ${rows.most.toLocaleString('en')} are kept` : '';
    write(this.readout, `${held}${some}${counted(this.seen, 'event')}${full}`);
    this.more.hidden = rows.waiting === 0;
    write(this.more, `↑ ${counted(rows.waiting, 'new line')}`);
    this.empty.hidden = rows.length > 0;
    const none = this.refused
      ? 'Nothing arrives: the stream is refused. Enter a token at the top, or see “Stream and replay”.'
      : 'Nothing has arrived yet. Publish an event, here or anywhere.';
    write(this.empty, rows.kept > 0 ? 'No event passes the filters.' : none);
  }

  private chosen(index: number): void {
    const row = this.rows.at(index);
    if (row === undefined) return;
    this.selected = row.n;
    // What is being read does not move away.
    this.hold();
    this.changed();
    this.choose(row);
  }

  private pause(paused: boolean): void {
    this.paused = paused;
    attribute(this.pauseButton, 'aria-pressed', String(paused));
    write(this.pauseButton, paused ? 'Go on' : 'Pause');
    if (paused) this.hold();
    else this.live();
  }

  private hold(): void {
    this.rows.hold(true);
    this.changed();
  }

  private live(): void {
    if (this.paused) this.pause(false);
    this.rows.hold(false);
    this.list.toTop();
    this.changed();
  }

  /** Whoever scrolls down reads: the lines stay. Whoever comes back to the top sees the newest again. */
  private settle(): void {
    if (!this.list.atTop) this.hold();
    else if (!this.paused && this.selected === null && this.rows.held) this.live();
  }

  private filtered(): void {
    const filters = {
      channel: this.channel.control.value,
      name: this.name.control.value,
      text: this.text.control.value,
    };
    this.rows.filter(matcher(filters));
    this.keep(filters);
    this.changed();
  }

  private export(): void {
    const stamp = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
    download(`events-${stamp}.ndjson`, 'application/x-ndjson', ndjson(this.rows));
  }
}

function filterField(placeholder: string): HTMLInputElement {
  return h('input', { type: 'text', placeholder, autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off' });
}

/** The texts of a line are made once for each row, however often it is drawn. */
const texts = new WeakMap<Row, readonly string[]>();

function textsOf(row: Row): readonly string[] {
  const known = texts.get(row);
  if (known !== undefined) return known;
  const data = visible(beginning(row.data, PREVIEW).text);
  const made =
    row.kind === 'event'
      ? [clock(new Date(row.at)), visible(row.event), row.channel ?? '–', data, sizeOf(bytesOf(row.data))]
      : [clock(new Date(row.at)), row.kind === 'note' ? '' : row.kind, '', data, ''];
  texts.set(row, made);
  return made;
}

function fill(line: HTMLElement, row: Row | undefined): void {
  if (row === undefined) return;
  if (line.dataset['row'] === String(row.n)) return;
  line.dataset['row'] = String(row.n);
  attribute(line, 'data-kind', row.kind);
  for (const [index, text] of textsOf(row).entries()) {
    const cell = line.children[index];
    if (cell !== undefined) write(cell, text);
  }
}

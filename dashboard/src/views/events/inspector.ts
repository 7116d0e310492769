import { curl } from '../../logic/exports';
import { clock, number } from '../../logic/format';
import type { Row } from '../../logic/rows';
import { beginning, bytesOf, pretty, sizeOf, visible } from '../../logic/text';
import { attribute, h, write } from '../../parts/dom';
import { button, copy } from '../../parts/field';

/** More than this in one element would hold up the page; the rest is in the copy. */
const SHOWN = 60_000;

interface Actions {
  again(row: Row): void;
  change(row: Row): void;
  replay(id: string): void;
  /** Whether the page sends a token, so that a command needs one, too. */
  authorized(): boolean;
  closed(): void;
}

/** Everything about one event. */
export class Inspector {
  readonly root: HTMLElement;
  private readonly title = h('h2', { id: 'inspector-title' });
  private readonly facts = h('dl', { class: 'event-facts' });
  private readonly data = h('pre', { tabindex: '0', id: 'inspector-data', 'aria-label': 'Data of the event' });
  private readonly note = h('p', { class: 'note', id: 'inspector-note' });
  private readonly status = h('p', { class: 'note', role: 'status', id: 'inspector-status' });
  private readonly raw: HTMLButtonElement;
  private readonly publishing: HTMLElement;
  private asItCame = false;
  private row: Row | null = null;

  constructor(private readonly actions: Actions) {
    this.raw = button('As it came', () => this.toggle(), { 'aria-pressed': 'false', id: 'raw' });
    this.publishing = h(
      'div',
      { class: 'actions' },
      button('Publish again', () => this.with((row) => this.actions.again(row)), { id: 'again' }),
      button('Change it first', () => this.with((row) => this.actions.change(row)), { id: 'change' }),
      button('Copy as curl', () => this.with((row) => this.curl(row)), { id: 'curl' }),
      button('Replay from here', () => this.with((row) => row.id !== null && this.actions.replay(row.id)), {
        id: 'from-here',
      }),
    );
    this.root = h(
      'section',
      { class: 'card inspector', 'aria-labelledby': 'inspector-title' },
      h(
        'div',
        { class: 'head' },
        this.title,
        button('✕', () => this.close(), { class: 'quiet', 'aria-label': 'Close the event' }),
      ),
      this.facts,
      h(
        'div',
        { class: 'actions' },
        this.raw,
        button('Copy the data', () => this.with((row) => void this.copied(row.data, 'The data'))),
      ),
      this.data,
      this.note,
      this.publishing,
      this.status,
    );
    this.root.hidden = true;
  }

  get open(): boolean {
    return !this.root.hidden;
  }

  show(row: Row): void {
    this.row = row;
    this.root.hidden = false;
    write(this.status, '');
    this.draw();
  }

  close(): void {
    this.row = null;
    this.root.hidden = true;
    this.actions.closed();
  }

  private with(action: (row: Row) => void): void {
    if (this.row !== null) action(this.row);
  }

  private toggle(): void {
    this.asItCame = !this.asItCame;
    attribute(this.raw, 'aria-pressed', String(this.asItCame));
    this.draw();
  }

  private draw(): void {
    const { row } = this;
    if (row === null) return;
    const names = {
      event: visible(row.event),
      gap: 'A gap: events are lost',
      bye: 'The server ended the stream',
      note: 'A note of this page',
    };
    write(this.title, names[row.kind]);
    const bytes = bytesOf(row.data);
    const facts: [string, string][] = [];
    if (row.channel !== null) facts.push(['Channel', row.channel]);
    if (row.id !== null) facts.push(['Id', row.id]);
    facts.push(['Size', bytes < 1000 ? sizeOf(bytes) : `${sizeOf(bytes)} (${number(bytes)} bytes)`]);
    if (row.time !== null) facts.push(['In the log', `${new Date(row.time).toISOString()}`]);
    facts.push([
      'Seen here',
      `${clock(new Date(row.at))}${row.time === null ? '' : `, ${number(row.at - row.time)} ms later by this computer’s clock`}`,
    ]);
    if (row.kind === 'event') facts.push(['Trace', row.traceparent ?? 'none: its publisher sent no traceparent']);
    this.facts.replaceChildren(...facts.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, visible(value))]));
    const found = this.asItCame ? { ...beginning(row.data, SHOWN), json: false, depth: 0 } : pretty(row.data, SHOWN);
    write(this.data, visible(found.text, true));
    this.raw.hidden = !this.asItCame && !found.json;
    const parts: string[] = [];
    if (!found.whole)
      parts.push(`The first ${number(found.text.length)} characters are shown: copy the data for all of it`);
    if (found.depth > 24) parts.push(`Lists and objects lie in each other more than 24 deep`);
    if (!found.json && !this.asItCame && row.kind === 'event') parts.push('It is text, and not JSON');
    write(this.note, parts.length > 0 ? `${parts.join('. ')}.` : '');
    this.publishing.hidden = row.kind !== 'event';
  }

  private curl(row: Row): void {
    const { event, data, traceparent } = row;
    const command = curl(
      location.origin,
      { channel: row.channel ?? '', event, data, traceparent },
      this.actions.authorized(),
    );
    void this.copied(command, 'The command');
  }

  private async copied(text: string, what: string): Promise<void> {
    const done = await copy(text);
    write(
      this.status,
      done ? `${what} is copied.` : `${what} could not be copied: the browser does not let this page do it.`,
    );
  }

  say(words: string): void {
    write(this.status, words);
  }
}

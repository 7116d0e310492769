import { reasonOf, type StreamEvent } from 'sse-platform-client';
import { clock, counted } from '../format';
import { copy, element, show, write } from './dom';

/** As many rows as one can look through; what is older is forgotten. */
const ROWS = 100;
/** Characters of data shown in a row: an event may be as large as the service allows. */
const LONGEST = 240;
/** Ids remembered to notice an event that comes twice: some minutes at a few hundred events a second. */
const IDS = 50_000;

interface Row {
  kind: 'event' | 'gap' | 'bye' | 'note';
  arrived: Date;
  event: string;
  data: string;
  id: string;
}

const GAP_REASONS: Record<string, string> = {
  expired: 'Events were missed: they were older than the service keeps.',
  truncated: 'Events may be missed: the log is not the one this id came from.',
  malformed: 'Events may be missed: the id was not one of the service’s.',
};
const BYE_REASONS: Record<string, string> = {
  draining: 'This replica is stopping; the stream goes on at another one.',
  expired: 'The permission of this stream has expired.',
  revoked: 'The permission of this stream was taken back.',
};

export class EventTable {
  seen = 0;
  doubles = 0;
  /** Arrived, not drawn yet, oldest first. */
  private waiting: Row[] = [];
  private readonly ids = new Set<string>();
  private frozen = false;

  constructor() {
    const button = element('freeze');
    button.addEventListener('click', () => {
      this.frozen = !this.frozen;
      button.setAttribute('aria-pressed', String(this.frozen));
      this.draw();
    });
  }

  event({ type: event, data, id }: StreamEvent): void {
    if (event === 'gap' || event === 'bye') {
      const reason = reasonOf(data) ?? '';
      const words = (event === 'gap' ? GAP_REASONS : BYE_REASONS)[reason];
      this.add({ kind: event, event, data: words === undefined ? data : `${words} ${data}`, id: id ?? '' });
      return;
    }
    this.seen += 1;
    if (id) this.remember(id);
    this.add({ kind: 'event', event, data, id: id ?? '' });
  }

  note(text: string): void {
    this.add({ kind: 'note', event: '', data: text, id: '' });
  }

  draw(): void {
    const body = element('events');
    show(
      'events-note',
      this.frozen ? `held still; ${counted(this.seen, 'event')} seen` : `newest first, at most ${ROWS}`,
    );
    if (this.frozen) return;
    for (const row of this.waiting) {
      const oldest = body.children.length < ROWS ? null : body.lastElementChild;
      body.prepend(fill(oldest ?? copy('event-row'), row));
    }
    this.waiting = [];
    element('empty').hidden = body.children.length > 0;
  }

  private add(row: Omit<Row, 'arrived'>): void {
    this.waiting.push({ ...row, arrived: new Date() });
    if (this.waiting.length > ROWS) this.waiting.shift();
  }

  private remember(id: string): void {
    if (this.ids.has(id)) this.doubles += 1;
    this.ids.add(id);
    if (this.ids.size > IDS)
      for (const oldest of this.ids) {
        this.ids.delete(oldest);
        break;
      }
  }
}

function fill(node: Element, row: Row): Element {
  const { length } = row.data;
  const cut = length > LONGEST ? `${row.data.slice(0, LONGEST)}… (${counted(length, 'character')})` : row.data;
  const cells = [clock(row.arrived), row.event, cut, row.id];
  for (const [index, cell] of [...node.children].entries()) write(cell, cells[index] ?? '');
  node.className = row.kind;
  return node;
}

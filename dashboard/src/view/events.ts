import { clock, counted } from '../format';
import type { Block } from '../sse-parser';
import { reasonOf } from '../stream-state';
import { element, rows, show, write } from './dom';

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
  private log: Row[] = [];
  private readonly ids = new Set<string>();
  private frozen = false;
  private dirty = true;

  constructor() {
    const button = element('freeze');
    button.addEventListener('click', () => {
      this.frozen = !this.frozen;
      button.setAttribute('aria-pressed', String(this.frozen));
      write(button, this.frozen ? 'Go on' : 'Hold still');
      this.dirty = true;
      this.draw();
    });
  }

  event(block: Block & { data: string }): void {
    const { event, data, id } = block;
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
    const last = this.log[this.log.length - 1];
    show(
      'events-note',
      this.frozen ? `held still; ${counted(this.seen, 'event')} seen` : last ? `newest first, at most ${ROWS}` : '',
    );
    if (this.frozen || !this.dirty) return;
    this.dirty = false;
    element('empty').hidden = this.log.length > 0;
    rows(element('events'), 'event-row', [...this.log].reverse(), (row, item) => {
      row.className = item.kind;
      const [arrived, event, data, id] = row.children;
      if (!arrived || !event || !data || !id) return;
      write(arrived, clock(item.arrived));
      write(event, item.event);
      write(
        data,
        item.data.length > LONGEST
          ? `${item.data.slice(0, LONGEST)}… (${counted(item.data.length, 'character')})`
          : item.data,
      );
      write(id, item.id);
    });
  }

  private add(row: Omit<Row, 'arrived'>): void {
    this.log.push({ ...row, arrived: new Date() });
    if (this.log.length > ROWS) this.log.shift();
    this.dirty = true;
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

/** One line of the live log: an event, or what the stream said of itself. */
export interface Row {
  /** Counts up by one; never used twice. */
  n: number;
  /** When it arrived here: milliseconds since 1970. */
  at: number;
  kind: 'event' | 'gap' | 'bye' | 'note';
  channel: string | null;
  event: string;
  data: string;
  id: string | null;
  /** When the log took it: milliseconds since 1970. */
  time: number | null;
  traceparent: string | null;
}

export type Matcher = (row: Pick<Row, 'kind' | 'channel' | 'event' | 'data' | 'id'>) => boolean;

/** A queue with a place for each item: both ends and any place cost the same. */
export class Queue<T> {
  private items: (T | undefined)[] = [];
  private gone = 0;

  get length(): number {
    return this.items.length - this.gone;
  }

  push(item: T): void {
    this.items.push(item);
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const first = this.items[this.gone];
    this.items[this.gone] = undefined;
    this.gone += 1;
    // Rarely, because to move a list costs its length.
    if (this.gone > 1_000 && this.gone * 2 > this.items.length) {
      this.items = this.items.slice(this.gone);
      this.gone = 0;
    }
    return first;
  }

  /** 0 is the oldest. */
  at(index: number): T | undefined {
    return index < 0 ? undefined : this.items[this.gone + index];
  }

  clear(): void {
    this.items = [];
    this.gone = 0;
  }

  *[Symbol.iterator](): Generator<T> {
    for (let index = this.gone; index < this.items.length; index += 1) yield this.items[index] as T;
  }
}

/** Text is held as UTF-16 or Latin-1: two bytes a character at most. 24 million characters are 48 MB at most. */
const MOST_CHARACTERS = 24_000_000;
const MOST_ROWS = 20_000;

/**
 * The newest rows, bounded by number and by characters, and those of them that pass a filter. While it is held, what it
 * shows stays where it is: rows that come are counted, and not shown.
 */
export class Rows {
  private readonly all = new Queue<Row>();
  private readonly shown = new Queue<Row>();
  private characters = 0;
  private next = 0;
  private wanted: Matcher = () => true;
  /** The newest row that is shown while the view is held. */
  private heldAt: number | null = null;
  /** Of the rows that pass the filter, those after `heldAt`. */
  private hidden = 0;

  constructor(
    readonly most = MOST_ROWS,
    private readonly mostCharacters = MOST_CHARACTERS,
  ) {}

  get kept(): number {
    return this.all.length;
  }

  /** How many rows there are to show. */
  get length(): number {
    return Math.max(0, this.shown.length - this.hidden);
  }

  /** How many rows came since the view is held. */
  get waiting(): number {
    return this.hidden;
  }

  get held(): boolean {
    return this.heldAt !== null;
  }

  add(row: Omit<Row, 'n'>): Row {
    const whole = { ...row, n: this.next };
    this.next += 1;
    this.all.push(whole);
    this.characters += size(whole);
    if (this.wanted(whole)) {
      this.shown.push(whole);
      if (this.heldAt !== null) this.hidden += 1;
    }
    while (this.all.length > 1 && (this.all.length > this.most || this.characters > this.mostCharacters)) this.drop();
    return whole;
  }

  private drop(): void {
    const oldest = this.all.shift();
    if (oldest === undefined) return;
    this.characters -= size(oldest);
    if (this.shown.at(0)?.n === oldest.n) {
      this.shown.shift();
      this.hidden = Math.min(this.hidden, this.shown.length);
    }
  }

  /** The newest row is 0. */
  at(index: number): Row | undefined {
    return index < 0 || index >= this.length ? undefined : this.shown.at(this.length - 1 - index);
  }

  /** The place of a row, or null where it is not shown. */
  placeOf(n: number): number | null {
    // The numbers go up, so that a place is found by halving.
    let [low, high] = [0, this.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.shown.at(middle)?.n ?? 0;
      if (found === n) return this.length - 1 - middle;
      if (found < n) low = middle + 1;
      else high = middle - 1;
    }
    return null;
  }

  filter(wanted: Matcher): void {
    this.wanted = wanted;
    this.shown.clear();
    this.hidden = 0;
    for (const row of this.all) {
      if (!wanted(row)) continue;
      this.shown.push(row);
      if (this.heldAt !== null && row.n > this.heldAt) this.hidden += 1;
    }
  }

  hold(held: boolean): void {
    if (held === this.held) return;
    this.heldAt = held ? this.next - 1 : null;
    this.hidden = 0;
  }

  clear(): void {
    this.all.clear();
    this.shown.clear();
    this.characters = 0;
    this.hidden = 0;
  }

  /** Everything that passes the filter, oldest first; also what came since the view is held. */
  *[Symbol.iterator](): Generator<Row> {
    yield* this.shown;
  }
}

/** A row beside its texts takes some 150 bytes. */
function size(row: Row): number {
  return row.data.length + row.event.length + (row.channel?.length ?? 0) + 75;
}

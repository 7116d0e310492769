/** A second without a connection is null: nothing is known about it, which is not the same as zero. */
export type Second = number | null;

/** Events per second over the last `seconds` whole seconds, and the one that is running. */
export class RateWindow {
  private readonly counts: Second[];
  private current: number;
  private open = false;

  /** @param now seconds of a steady clock */
  constructor(
    readonly seconds: number,
    now: number,
  ) {
    this.counts = Array.from({ length: seconds + 1 }, () => null);
    this.current = Math.floor(now);
  }

  /** Says that the stream is open, or isn't, from `now` on; a second in which it was open at all is known. */
  setOpen(now: number, open: boolean): void {
    this.roll(now);
    this.open = open;
    if (open) this.counts[this.slot(this.current)] ??= 0;
  }

  event(now: number): void {
    this.roll(now);
    const slot = this.slot(this.current);
    this.counts[slot] = (this.counts[slot] ?? 0) + 1;
  }

  /** Whole seconds, oldest first: the last element is the second before the one that is running. */
  history(now: number): Second[] {
    this.roll(now);
    return Array.from(
      { length: this.seconds },
      (_, index) => this.counts[this.slot(this.current - this.seconds + index)] ?? null,
    );
  }

  private slot(second: number): number {
    const size = this.seconds + 1;
    return ((second % size) + size) % size;
  }

  private roll(now: number): void {
    const second = Math.floor(now);
    const from = Math.max(this.current + 1, second - this.seconds);
    for (let passed = from; passed <= second; passed += 1) this.counts[this.slot(passed)] = this.open ? 0 : null;
    if (second > this.current) this.current = second;
  }
}

export interface RateSummary {
  /** Mean of the known seconds among the last `recent`. */
  recent: number | null;
  mean: number | null;
  peak: number | null;
  knownSeconds: number;
}

export function summarise(history: readonly Second[], recent: number): RateSummary {
  const known = history.filter((count) => count !== null);
  const last = history.slice(-recent).filter((count) => count !== null);
  return {
    recent: mean(last),
    mean: mean(known),
    peak: known.length > 0 ? Math.max(...known) : null,
    knownSeconds: known.length,
  };
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The smallest of 5, 10, 20, 50, 100, ... that is not below the peak: the top of the chart. */
export function axisTop(peak: number): number {
  for (let scale = 1; ; scale *= 10) {
    for (const step of [5, 10, 20]) {
      if (step * scale >= peak) return step * scale;
    }
  }
}

/** Nearest-rank percentile: a value that was really measured, never an interpolation. Null without samples. */
export function percentile(values: readonly number[], percent: number): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((left, right) => left - right);
  const rank = Math.min(sorted.length, Math.max(1, Math.ceil((percent / 100) * sorted.length)));
  return sorted[rank - 1] ?? null;
}

/** The newest `limit` items. */
export class Recent<T> {
  private items: T[] = [];

  constructor(private readonly limit: number) {}

  add(item: T): void {
    this.items.push(item);
    if (this.items.length > this.limit) this.items = this.items.slice(-this.limit);
  }

  get all(): readonly T[] {
    return this.items;
  }
}

/** Test events on their way: published here, not yet seen on the stream. */
export class Probes {
  private readonly waiting = new Map<string, { sentAt: number; settle: (milliseconds: number | null) => void }>();

  /** Resolves with the milliseconds until the event was seen, or null when it was given up. */
  sent(token: string, at: number): Promise<number | null> {
    return new Promise((settle) => this.waiting.set(token, { sentAt: at, settle }));
  }

  /** True when the event was one of ours and seen for the first time. */
  seen(token: string, at: number): boolean {
    const probe = this.waiting.get(token);
    if (probe === undefined) return false;
    this.waiting.delete(token);
    probe.settle(at - probe.sentAt);
    return true;
  }

  giveUp(token: string): void {
    this.waiting.get(token)?.settle(null);
    this.waiting.delete(token);
  }
}

/** The token a test event of this page carries in its data; null for everybody else's events. */
export function tokenOf(data: string): string | null {
  if (!data.includes('"probe"')) return null;
  try {
    const value: unknown = JSON.parse(data);
    if (typeof value === 'object' && value !== null && 'probe' in value && typeof value.probe === 'string') {
      return value.probe;
    }
  } catch {
    // Somebody's text that happens to contain the word.
  }
  return null;
}

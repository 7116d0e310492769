/** Each bucket ends 1 % after the one before: percentiles are true within that. */
const STEP = 1.01;
const LOWEST = 0.01; // milliseconds
const LOG = Math.log(STEP);

/** Milliseconds in buckets, as many as there are: its size does not grow with the number of values. */
export class Histogram {
  private readonly counts = new Map<number, number>();
  count = 0;
  least = Number.POSITIVE_INFINITY;
  most = 0;

  add(milliseconds: number): void {
    const value = Math.max(0, milliseconds);
    const bucket = value <= LOWEST ? 0 : Math.ceil(Math.log(value / LOWEST) / LOG);
    this.counts.set(bucket, (this.counts.get(bucket) ?? 0) + 1);
    this.count += 1;
    this.least = Math.min(this.least, value);
    this.most = Math.max(this.most, value);
  }

  /** Nearest rank, as the end of its bucket and never outside of what was measured; null without values. */
  percentile(percent: number): number | null {
    if (this.count === 0) return null;
    const rank = Math.min(this.count, Math.max(1, Math.ceil((percent / 100) * this.count)));
    if (rank === this.count) return this.most;
    let passed = 0;
    for (const bucket of [...this.counts.keys()].sort((left, right) => left - right)) {
      passed += this.counts.get(bucket) ?? 0;
      if (passed >= rank) return Math.min(this.most, Math.max(this.least, LOWEST * STEP ** bucket));
    }
    return this.most;
  }
}

export const PERCENTILES = [50, 90, 95, 99, 99.9] as const;
export type Percentiles = Record<`p${(typeof PERCENTILES)[number]}` | 'max', number | null>;

export function percentiles(histogram: Histogram): Percentiles {
  const found = Object.fromEntries(PERCENTILES.map((one) => [`p${one}`, histogram.percentile(one)]));
  return { ...found, max: histogram.count === 0 ? null : histogram.most } as Percentiles;
}

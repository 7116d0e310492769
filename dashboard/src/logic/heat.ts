import type { Range } from './promjson';

/** A histogram over time: how many observations fell into each bucket in each step. */
export interface Heat {
  times: number[];
  /** The upper bounds in seconds, ascending; the last may be infinite. */
  bounds: number[];
  /** counts[bucket][time]; null where nothing is known. */
  counts: (number | null)[][];
}

/** Reads `sum by (le) (increase(..._bucket[step]))`, whose counts are cumulative over the buckets. */
export function heatOf(range: Range): Heat {
  const series = range.series
    .map((one) => ({ bound: Number((one.labels['le'] ?? '').replace('+Inf', 'Infinity')), values: one.values }))
    .filter((one) => !Number.isNaN(one.bound))
    .sort((left, right) => left.bound - right.bound);
  const counts = series.map(({ values }, bucket) =>
    values.map((value, time) => {
      if (value === null) return null;
      // Rates are interpolated, so a difference may fall a little below zero.
      return Math.max(0, value - (series[bucket - 1]?.values[time] ?? 0));
    }),
  );
  return { times: range.times, bounds: series.map(({ bound }) => bound), counts };
}

/** The quantile of each step, linear within its bucket as Prometheus has it; null where nothing was observed. */
export function quantiles(heat: Heat, share: number): (number | null)[] {
  return heat.times.map((_, time) =>
    quantile(
      heat.bounds,
      heat.counts.map((bucket) => bucket[time] ?? null),
      share,
    ),
  );
}

export function quantile(bounds: readonly number[], counts: readonly (number | null)[], share: number): number | null {
  const all = counts.reduce<number>((sum, count) => sum + (count ?? 0), 0);
  if (all <= 0) return null;
  let [below, wanted] = [0, share * all];
  for (const [bucket, bound] of bounds.entries()) {
    const count = counts[bucket] ?? 0;
    if (below + count < wanted || count === 0) {
      below += count;
      continue;
    }
    const lower = bounds[bucket - 1] ?? 0;
    // Slower than the last bound: nobody knows by how much.
    if (!Number.isFinite(bound)) return lower;
    return lower + (bound - lower) * ((wanted - below) / count);
  }
  return bounds.filter(Number.isFinite).at(-1) ?? null;
}

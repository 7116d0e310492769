/** The time that charts show: the last minutes up to now, or a part of it that somebody dragged over. */

export const RANGES = [
  { name: '15m', title: '15 min', seconds: 900 },
  { name: '1h', title: '1 h', seconds: 3600 },
  { name: '6h', title: '6 h', seconds: 21_600 },
  { name: '1d', title: '1 day', seconds: 86_400 },
  { name: '3d', title: '3 days', seconds: 259_200 },
  { name: '15d', title: '15 days', seconds: 1_296_000 },
] as const;

/** As many points as a chart has room for. */
const POINTS = 180;
const STEPS = [5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 14_400];

export interface Span {
  from: number;
  to: number;
  step: number;
  /** Whether it ends now and moves on. */
  moving: boolean;
}

/** The span of the address's `range` (15m by default), or of its `from` and `to` in seconds. */
export function spanOf(parameters: URLSearchParams, now: number): Span {
  const [from, to] = [Number(parameters.get('from')), Number(parameters.get('to'))];
  if (Number.isFinite(from) && Number.isFinite(to) && from > 0 && to - from >= 10 && from < now) {
    const end = Math.min(to, now);
    return { from, to: end, step: stepOf(end - from), moving: false };
  }
  return lastOf(rangeOf(parameters.get('range')).seconds, now);
}

/** The last seconds up to now, on a grid that slides by a part of a step: its end is never a whole step old. */
export function lastOf(seconds: number, now: number): Span {
  const step = stepOf(seconds);
  const grain = Math.max(STEPS[0] ?? 1, step / 12);
  const end = Math.floor(now / grain) * grain;
  return { from: end - seconds, to: end, step, moving: true };
}

export function rangeOf(name: string | null): (typeof RANGES)[number] {
  return RANGES.find((one) => one.name === name) ?? RANGES[0];
}

export function stepOf(seconds: number): number {
  return STEPS.find((step) => seconds / step <= POINTS) ?? Math.ceil(seconds / POINTS);
}

/** The window of a rate: four scrapes at least, and no gap between two steps. */
export function windowOf(step: number, every: number): number {
  return Math.max(step, 4 * Math.max(1, every));
}

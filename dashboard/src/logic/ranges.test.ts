import { expect, it } from 'vitest';
import { RANGES, spanOf, stepOf, windowOf } from './ranges';

const query = (text: string) => new URLSearchParams(text);

it.each(RANGES)('$title has at most 180 steps', ({ seconds }) =>
  expect(seconds / stepOf(seconds)).toBeLessThanOrEqual(180),
);

it('the last 15 minutes are shown by default, on a grid that does not slide', () => {
  expect(spanOf(query(''), 10_003)).toEqual({ from: 9100, to: 10_000, step: 5, moving: true });
  expect(spanOf(query('range=nonsense'), 10_003).to).toBe(10_000);
});

it.each(RANGES)('$title ends now: less than the width of a point on a screen ago', ({ name, seconds }) => {
  const now = 1_796_041_799;
  const { from, to, step } = spanOf(query(`range=${name}`), now);
  expect(now - to).toBeLessThan(Math.max(5, seconds / 1440));
  expect([to - from, (to - from) % step]).toEqual([seconds, 0]);
});

it('a part that was dragged over stands still and does not reach into the future', () => {
  expect(spanOf(query('from=5000&to=99999'), 6000)).toMatchObject({ from: 5000, to: 6000, moving: false });
});

it.each(['from=1&to=2', 'from=x&to=y', 'from=99&to=5', 'from=9000&to=9100'])('%s is no part of the past', (text) =>
  expect(spanOf(query(text), 6000).moving).toBe(true),
);

it('a rate is of four scrapes at least', () =>
  expect([windowOf(5, 5), windowOf(60, 5), windowOf(5, 30)]).toEqual([20, 60, 120]));

import { describe, expect, it } from 'vitest';
import { heatOf, quantile, quantiles } from './heat';

const cumulative = {
  times: [0, 10],
  series: [
    { labels: { le: '+Inf' }, values: [10, null] },
    { labels: { le: '0.1' }, values: [8, null] },
    { labels: { le: '0.01' }, values: [4, null] },
  ],
};

describe('a histogram over time', () => {
  it('has the observations of each bucket alone, and nothing where nothing is known', () => {
    expect(heatOf(cumulative)).toEqual({
      times: [0, 10],
      bounds: [0.01, 0.1, Infinity],
      counts: [
        [4, null],
        [4, null],
        [2, null],
      ],
    });
  });
  it('a quantile lies within its bucket, and is not known without observations', () => {
    expect(quantiles(heatOf(cumulative), 0.5)).toEqual([expect.closeTo(0.01 + 0.09 * 0.25, 6), null]);
  });
  it('what is slower than the last bound is told as that bound', () =>
    expect(quantile([1, Infinity], [1, 99], 0.99)).toBe(1));
  it('no observation has no quantile', () => expect(quantile([1, Infinity], [0, 0], 0.5)).toBeNull());
});

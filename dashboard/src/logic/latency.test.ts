import { describe, expect, it } from 'vitest';
import { Probes, percentile, Recent, tokenOf } from './latency';

describe('percentile', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  it.each<[number[], number, number | null]>([
    [[], 50, null],
    [[7], 99, 7],
    [[3, 1, 2], 50, 2],
    [[4, 1, 3, 2], 50, 2],
    [hundred, 50, 50],
    [hundred, 99, 99],
    [hundred, 100, 100],
    [hundred, 0, 1],
  ])('%# nearest rank, always a measured value', (values, percent, expected) => {
    expect(percentile(values, percent)).toBe(expected);
  });
  it('leaves its input as it was', () => {
    const values = [3, 1, 2];
    percentile(values, 50);
    expect(values).toEqual([3, 1, 2]);
  });
});

it('keeps only the newest items', () => {
  const recent = new Recent<number>(2);
  for (const value of [1, 2, 3]) recent.add(value);
  expect(recent.all).toEqual([2, 3]);
});

describe('probes', () => {
  it('measures from sending to the first sight, also when that comes before the answer', async () => {
    const probes = new Probes();
    const arrival = probes.sent('a', 100);
    expect(probes.seen('a', 104.5)).toBe(true);
    expect(await arrival).toBe(4.5);
  });
  it('ignores the second sight and everybody else’s tokens', () => {
    const probes = new Probes();
    void probes.sent('a', 0);
    expect([probes.seen('b', 1), probes.seen('a', 2), probes.seen('a', 3)]).toEqual([false, true, false]);
  });
  it('gives up without a number', async () => {
    const probes = new Probes();
    const arrival = probes.sent('a', 0);
    probes.giveUp('a');
    expect(await arrival).toBeNull();
    expect(probes.seen('a', 1)).toBe(false);
  });
});

it.each([
  ['{"probe":"x","n":1}', 'x'],
  ['{"probe":1}', null],
  ['"probe"', null],
  ['"probe" no json', null],
  ['{}', null],
])('the token of %s', (data, token) => expect(tokenOf(data)).toBe(token));

import { expect, it } from 'vitest';
import { paths } from './spark';

const heights = (path: string): number[] => [...path.matchAll(/[ML][\d.]+ ([\d.-]+)/g)].map(([, y]) => Number(y));

it('a line stays in its box, also where a value is below its ground', () => {
  for (const values of [
    [0.87, 0.5, 0.1],
    [0.2, -3, -78],
    [-1, -2],
    [null, 5, null, -5],
  ]) {
    const { line, area } = paths(values);
    for (const y of [...heights(line), ...heights(area)]) {
      expect(y).toBeGreaterThanOrEqual(0);
      expect(y).toBeLessThanOrEqual(32);
    }
  }
});

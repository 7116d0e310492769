import { afterEach, describe, expect, it, vi } from 'vitest';
import { clockAhead, heard, now } from './moment';

const NOON = Date.UTC(2026, 10, 20, 12);
const HOUR = 3_600_000;
const served = (at: number): string => new Date(at).toUTCString();

afterEach(() => {
  heard(served(NOON), NOON, NOON);
  vi.useRealTimers();
});

describe('the time of the platform', () => {
  it.each([
    ['agrees', 0, 0],
    ['is some seconds off, which nobody can see', 3_000, 0],
    ['is an hour ahead', HOUR, HOUR],
    ['is a day behind', -24 * HOUR, -24 * HOUR],
  ])('is known where the clock of this computer %s', (_, wrong, ahead) => {
    vi.useFakeTimers({ now: NOON + wrong });
    heard(served(NOON), NOON + wrong - 20, NOON + wrong);
    expect(clockAhead() - ahead).toBeGreaterThan(-1_000);
    expect(clockAhead() - ahead).toBeLessThanOrEqual(0);
    expect(Math.abs(now() - NOON)).toBeLessThanOrEqual(3_000);
  });

  it('is not moved by an answer that waited, by half a second, or by one without a time', () => {
    heard(served(NOON), NOON - 60_000, NOON + 1_000);
    heard(served(NOON), NOON - 1_000, NOON + 60_000);
    heard(null, NOON, NOON);
    expect(clockAhead()).toBe(0);
    heard(served(NOON), NOON + HOUR, NOON + HOUR + 9);
    heard(served(NOON), NOON + HOUR + 900, NOON + HOUR + 909);
    expect(clockAhead()).toBe(HOUR);
  });

  it('is that of this computer again once somebody has set its clock right', () => {
    heard(served(NOON), NOON + HOUR, NOON + HOUR + 9);
    heard(served(NOON), NOON, NOON + 9);
    expect(clockAhead()).toBe(0);
  });
});

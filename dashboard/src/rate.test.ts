import { describe, expect, it } from 'vitest';
import { axisTop, RateWindow, summarise } from './rate';

describe('the rate window', () => {
  it('counts whole seconds, without the running one', () => {
    const window = new RateWindow(3, 10);
    window.event(10.1);
    window.event(10.9);
    window.event(11.2);
    expect(window.history(11.5)).toEqual([null, null, 2]);
    expect(window.history(12)).toEqual([null, 2, 1]);
  });
  it('keeps seconds without a stream apart from seconds without events', () => {
    const window = new RateWindow(6, 0);
    window.setOpen(1.5, true);
    window.event(2);
    window.setOpen(3.5, false);
    window.setOpen(5.5, true);
    expect(window.history(6)).toEqual([null, 0, 1, 0, null, 0]);
  });
  it('knows the quiet seconds of a page that slept in the background', () => {
    const window = new RateWindow(3, 0);
    window.setOpen(0, true);
    expect(window.history(1000)).toEqual([0, 0, 0]);
  });
  it('forgets what is older than the window, also after a long sleep', () => {
    const window = new RateWindow(3, 0);
    for (const second of [0, 1, 2, 3, 4, 5]) for (let n = 0; n < second; n += 1) window.event(second);
    expect(window.history(6)).toEqual([3, 4, 5]);
    expect(window.history(1_000_000)).toEqual([null, null, null]);
  });
  it('never loses an event to a clock that reads a little earlier', () => {
    const window = new RateWindow(2, 5);
    window.event(6);
    window.event(5.99);
    expect(window.history(7)).toEqual([null, 2]);
  });
});

describe('the summary', () => {
  it('leaves unknown seconds out', () => {
    expect(summarise([null, 4, null, 0, 2], 2)).toEqual({ recent: 1, mean: 2, peak: 4, knownSeconds: 3 });
  });
  it('knows nothing where nothing is known', () => {
    expect(summarise([null, null], 2)).toEqual({ recent: null, mean: null, peak: null, knownSeconds: 0 });
  });
});

it.each([
  [0, 5],
  [5, 5],
  [6, 10],
  [20, 20],
  [21, 50],
  [51, 100],
  [1001, 2000],
])('the axis for a peak of %i ends at %i', (peak, top) => {
  expect(axisTop(peak)).toBe(top);
});

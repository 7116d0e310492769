import { describe, expect, it } from 'vitest';
import { Histogram, percentiles } from './histogram';
import {
  type Bounds,
  boundsOf,
  due,
  type LoadPlan,
  mostAtOnce,
  mostRemembered,
  mostSubscribers,
  numberReader,
  payload,
  refused,
  SMALLEST,
} from './load-plan';
import { codesOf, keep, reached, type Run, runsAsCsv, runsAsHtml, runsOf } from './runs';

const BODY = {
  event_bytes: 61440,
  batch_events: 500,
  body_bytes: 262144,
  load_test: { events_per_second: 500, seconds: 300 },
};
const BOUNDS = boundsOf(BODY) as Bounds;
const PLAN: LoadPlan = { rate: 100, size: 200, channels: 2, subscribers: 2, seconds: 10 };

describe('percentiles', () => {
  it('are those of the sorted values within 1 %, and the greatest is exact', () => {
    const histogram = new Histogram();
    const values = Array.from({ length: 5_000 }, (_, n) => ((n * 7919) % 5_000) / 3 + 0.2);
    for (const value of values) histogram.add(value);
    values.sort((left, right) => left - right);
    for (const percent of [0, 1, 50, 90, 99, 99.9, 100]) {
      const exact = values[Math.max(0, Math.ceil((percent / 100) * values.length) - 1)] ?? 0;
      const found = histogram.percentile(percent) ?? 0;
      expect(found).toBeGreaterThanOrEqual(exact - 1e-9);
      expect(found).toBeLessThanOrEqual(exact * 1.0101);
    }
    expect(percentiles(histogram).max).toBe(values.at(-1));
  });

  it('of nothing are not known, of one value are this value, and zero counts', () => {
    const histogram = new Histogram();
    expect(percentiles(histogram)).toEqual({ p50: null, p90: null, p95: null, p99: null, 'p99.9': null, max: null });
    histogram.add(0);
    expect(histogram.percentile(99.9)).toBe(0);
    const one = new Histogram();
    one.add(3.3);
    expect([one.percentile(0), one.percentile(50), one.percentile(100)]).toEqual([3.3, 3.3, 3.3]);
  });
});

describe('a plan', () => {
  it('may run within what the service tells', () => {
    expect(refused(PLAN, BOUNDS, 'http/1.1')).toEqual({});
    expect(refused({ ...PLAN, rate: 500, seconds: 300, subscribers: 3, size: SMALLEST }, BOUNDS, 'http/1.1')).toEqual(
      {},
    );
  });

  it.each<[Partial<LoadPlan>, keyof LoadPlan, string]>([
    [{ rate: 501 }, 'rate', 'app_load_test_rate'],
    [{ seconds: 301 }, 'seconds', 'app_load_test_seconds'],
    [{ size: 61440 }, 'size', 'app_max_event_bytes'],
    [{ size: 10 }, 'size', 'whole number'],
    [{ subscribers: 4 }, 'subscribers', '6 connections'],
    [{ channels: 101 }, 'channels', '100'],
    [{ rate: 0 }, 'rate', 'whole number'],
    [{ rate: 1.5 }, 'rate', 'whole number'],
    [{ seconds: Number.NaN }, 'seconds', 'whole number'],
  ])('%j is refused at its field with the reason', (change, field, reason) => {
    const found = refused({ ...PLAN, ...change }, BOUNDS, 'http/1.1');
    expect(Object.keys(found)).toEqual([field]);
    expect(found[field]).toContain(reason);
  });

  it('is as long as the page can remember its events, whatever the service allows', () => {
    const wide = boundsOf({ ...BODY, load_test: { events_per_second: 100_000, seconds: 3600 } }) as Bounds;
    const large = { ...PLAN, rate: 100_000, subscribers: 100 };
    const longest = mostRemembered(large);
    expect(large.rate * longest * (9 + large.subscribers)).toBeLessThanOrEqual(64 * 2 ** 20);
    expect(refused({ ...large, seconds: longest }, wide, 'h2')).toEqual({});
    expect(refused({ ...large, seconds: longest + 1 }, wide, 'h2')).toEqual({
      seconds: expect.stringContaining(`${longest} s is the limit`),
    });
    expect(mostRemembered({ rate: 500, subscribers: 100 })).toBeGreaterThan(BOUNDS.loadTest?.seconds ?? 0);
  });

  it('is refused where nobody tells a limit, or load tests are off', () => {
    expect(refused(PLAN, null, 'http/1.1').rate).toContain('does not tell');
    const off = boundsOf({ event_bytes: 1, batch_events: 1, body_bytes: 1 });
    expect(refused(PLAN, off, 'http/1.1').rate).toContain('app_load_test_rate is 0');
    expect([boundsOf('<html>'), boundsOf(null), boundsOf({ event_bytes: 'x' })]).toEqual([null, null, null]);
  });

  it('keeps to the limit that is lower: of a publisher, or of an address', () => {
    const slow = boundsOf({ ...BODY, publish_rate: 50, streams_per_address: 2 }) as Bounds;
    expect(refused(PLAN, slow, 'h2')).toEqual({
      rate: expect.stringContaining('app_publish_rate'),
      subscribers: expect.stringContaining('one address 2 streams'),
    });
    expect(mostSubscribers('h2', BOUNDS).most).toBe(100);
    expect(mostSubscribers('http/1.1', BOUNDS).most).toBe(3);
  });

  it('sends all of its events and no more, evenly', () => {
    expect([-5, 0, 9, 10, 995, 10_000, 99_999].map((at) => due(PLAN, at))).toEqual([0, 0, 0, 1, 99, 1000, 1000]);
  });

  it('has events of exactly its size, which tell their number to this test alone', () => {
    for (const size of [SMALLEST, 200, 61_000]) {
      const data = JSON.stringify(payload('a1b2c3d4', 123_456_789, size));
      expect(data).toHaveLength(size);
      expect(numberReader('a1b2c3d4')(data)).toBe(123_456_789);
      expect(numberReader('other')(data)).toBeNull();
    }
    const others = ['{"load":"a","n":"1",', '{"load":"a","n":1', '{"load":"a","n":-1,', '{"load":"a","n":,', 'x', ''];
    for (const data of others) expect(numberReader('a')(data)).toBeNull();
    expect([mostAtOnce(PLAN, BOUNDS), mostAtOnce({ ...PLAN, size: 61_000 }, BOUNDS)]).toEqual([500, 4]);
  });
});

const NONE = { p50: null, p90: null, p95: null, p99: null, 'p99.9': null, max: null };
const run = (id: string, more: Partial<Run> = {}): Run => ({
  ...PLAN,
  ...{ id, at: 0, lasted: 10_000, sent: 1000, accepted: 990, seen: 1980, lost: 0, twice: 0 },
  ...{ delivery: { ...NONE, p50: 1.234, 'p99.9': 20 }, answer: NONE, codes: { 429: 1, 202: 990 } },
  ...{ replica: 'sse-app-1', stopped: false, ...more },
});

describe('runs', () => {
  it('are kept newest first, and bounded in number and in size', () => {
    let kept: Run[] = [];
    for (let n = 0; n < 50; n += 1) kept = keep(kept, run(String(n))).runs;
    expect(kept.map((one) => one.id)).toEqual(Array.from({ length: 20 }, (_, n) => String(49 - n)));
    const large = keep(kept, run('large', { replica: 'x'.repeat(199_900) }));
    expect(large.runs).toHaveLength(1);
    expect(runsOf(keep(kept, run('x')).text)[0]).toEqual(run('x'));
  });

  it.each([null, '', '{', '{}', '[1,null,{"id":"x"}]', `[{"id":"x","delivery":{},"answer":{},"codes":{},"at":"<b>"}]`])(
    'a storage that holds %j holds none',
    (text) => {
      expect(runsOf(text)).toEqual([]);
    },
  );

  it('as CSV and HTML have every figure, and text of strangers is text', () => {
    const hostile = run('x', { codes: { '<img>': 1 } });
    const table = runsAsCsv([hostile, run('y')]).split('\r\n');
    expect(table).toHaveLength(4);
    expect(table[1]).toContain('1970-01-01T00:00:00.000Z,100,200,2,2,10,10,1000,990,99,1980,0,0,1.23');
    const page = runsAsHtml([hostile, run('y')], '<script>');
    expect(page).not.toMatch(/<script|<img|src=|href=/);
    expect(page).toContain('&lt;img&gt;: 1');
    expect(page).toContain('not known');
  });

  it('reach a rate, and count codes', () => {
    expect([reached(run('x')), reached(run('x', { lasted: 0 }))]).toEqual([99, null]);
    expect(codesOf(run('x'))).toBe('202: 990, 429: 1');
  });
});

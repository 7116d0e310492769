import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Service, type Site, servePage } from '../platform';
import { DESKTOP, look, PHONE, visit } from '../screens';
import { page, stage, standStill } from '../stage';
import { World } from '../world';

/** The view Load before the real service, whose limits it keeps to. */
const WAIT = { timeout: 60_000 };
let service: Service;
let site: Site;

beforeAll(async () => {
  service = await Service.start({ SSE_LOAD_TEST_RATE: '100', SSE_LOAD_TEST_SECONDS: '5' });
  process.env['API_URL'] = service.url;
  site = await servePage();
});

afterAll(async () => {
  await site?.close();
  await service?.stop('SIGKILL');
});

stage();

const text = async (id: string) => (await page.locator(`#${id}`).textContent()) ?? '';
const figure = async (name: string) =>
  (await page
    .locator('.live .tiles > div', { has: page.getByText(name, { exact: true }) })
    .locator('b')
    .textContent()) ?? '';

async function open(): Promise<void> {
  await visit(page, `${site.url}/#/load`);
  await expect.poll(() => text('load-cap'), WAIT).toContain('429');
}

async function run(plan: Record<string, number>): Promise<void> {
  for (const [name, value] of Object.entries(plan)) await page.locator(`#load-${name}`).fill(String(value));
  await page.locator('#load-start').click();
}

describe('a load test', () => {
  it('sends what it says, counts what is accepted and seen, and is kept and compared', async () => {
    await open();
    await run({ rate: 50, seconds: 2, subscribers: 2, channels: 3, size: 300 });
    await expect.poll(() => text('load-state'), WAIT).toBe('Done: nothing was lost, nothing came twice.');
    expect([await figure('Sent'), await figure('Accepted'), await figure('Seen')]).toEqual(['100', '100', '200']);
    expect(await text('load-codes')).toContain('202: 100');
    const times = await Promise.all(['p50', 'p99', 'p99.9', 'Slowest'].map(figure));
    for (const time of times) expect(Number(time.replaceAll(',', ''))).toBeGreaterThan(0);
    await run({ rate: 20, seconds: 1 });
    await expect.poll(() => page.locator('.runs tbody tr').count(), WAIT).toBe(2);
    expect(await page.locator('.runs .change').count()).toBe(3);
    await page.reload();
    await expect.poll(() => page.locator('.runs tbody tr').count(), WAIT).toBe(2);
    const save = async (id: string): Promise<string> => {
      const [file] = await Promise.all([page.waitForEvent('download'), page.locator(`#${id}`).click()]);
      return readFileSync(await file.path(), 'utf8');
    };
    expect((await save('csv')).split('\r\n')).toHaveLength(4);
    expect(JSON.parse(await save('json'))).toMatchObject([
      { rate: 20 },
      { rate: 50, accepted: 100, seen: 200, lost: 0 },
    ]);
    const report = await save('report');
    expect(report).toMatch(/^<!doctype html>/);
    expect(report).not.toMatch(/<script|src=|href=|url\(/);
    await page.locator('#forget').click();
    await expect.poll(() => text('runs-note'), WAIT).toContain('No run is kept yet');
  });

  it('over a limit of the service is refused with the reason, and nothing is sent', async () => {
    await open();
    let sent = 0;
    await page.route('**/api/v1/events', (route) => {
      sent += 1;
      return route.abort();
    });
    await run({ rate: 101, seconds: 6, subscribers: 4, size: 9, channels: 101 });
    await expect.poll(() => text('load-rate-wrong'), WAIT).toContain('101 is over the limit of 100');
    expect(await text('load-rate-wrong')).toContain('app_load_test_rate');
    expect(await text('load-seconds-wrong')).toContain('app_load_test_seconds');
    expect(await text('load-subscribers-wrong')).toContain('a browser holds 6 connections to one host over HTTP/1.1');
    expect(await text('load-size-wrong')).toContain('whole number');
    expect(await text('load-channels-wrong')).toContain('100');
    expect([sent, await page.locator('#load-stop').isVisible()]).toEqual([0, false]);
  });

  it('of a page that ignores the limit is refused by the service itself', async () => {
    await open();
    // The page believes in a limit that the service does not have.
    const bounds = { event_bytes: 61440, body_bytes: 262144, batch_events: 500 };
    const body = JSON.stringify({ ...bounds, load_test: { events_per_second: 1000, seconds: 5 } });
    await page.route('**/api/v1/limits', (route) => route.fulfill({ contentType: 'application/json', body }));
    await run({ rate: 400, seconds: 2, subscribers: 1, channels: 1, size: 100 });
    await expect
      .poll(() => text('load-state'), WAIT)
      .toMatch(/^Done: nothing was lost, nothing came twice; \d+ events not accepted\.$/);
    expect(await text('load-codes')).toMatch(/429: \d+/);
    // Its burst of one second, and what the rate gives while the test lasts on a slow machine.
    expect(Number((await figure('Accepted')).replaceAll(',', ''))).toBeLessThan(600);
  });

  it('is stopped by its button, and says so', async () => {
    await open();
    await run({ rate: 10, seconds: 5, subscribers: 1, channels: 1, size: 100 });
    await expect.poll(() => figure('Sent'), WAIT).not.toMatch(/^[–0]$/);
    await page.locator('#load-stop').click();
    await expect.poll(() => text('load-state'), WAIT).toMatch(/^Stopped: /);
  });

  it('says why it may not run where the service tells no limits', async () => {
    await page.route('**/api/v1/limits', (route) => route.fulfill({ status: 502, body: '<h1>502</h1>' }));
    await page.goto(`${site.url}/#/load`);
    await expect.poll(() => text('load-wrong'), WAIT).toContain('The limits are not known. No replica answers');
  });
});

describe('how it looks', () => {
  const percentiles = (p50: number) => ({
    ...{ p50, p90: p50 * 1.4, p95: p50 * 1.6, p99: p50 * 2.5, 'p99.9': p50 * 4, max: p50 * 4.2 },
  });
  const run = (n: number, rate: number, p50: number, codes: Record<string, number>) => ({
    ...{ id: `run-${n}`, at: Date.UTC(2026, 10, 20, 12, n), lasted: 10_010, rate, size: 200, channels: 1, seconds: 10 },
    ...{ subscribers: 2, sent: rate * 10, accepted: codes['202'], seen: (codes['202'] ?? 0) * 2, lost: 0, twice: 0 },
    ...{ delivery: percentiles(p50), answer: percentiles(p50 * 0.7), codes, replica: 'sse-app-1', stopped: false },
  });

  let world: World;

  beforeAll(async () => {
    world = await World.make();
  });

  afterAll(() => {
    world?.close();
    process.env['API_URL'] = service.url;
    for (const name of ['PROMETHEUS_URL', 'REPLICAS', 'LIVE_DIR']) delete process.env[name];
  });

  it.each([
    ['load-refused', DESKTOP],
    ['load-phone', PHONE],
  ])('%s', async (name, size) => {
    const runs = [
      run(3, 100, 8.2, { 202: 980, 429: 20 }),
      run(2, 50, 5.1, { 202: 500 }),
      run(1, 50, 6.4, { 202: 500 }),
    ];
    await page.addInitScript((text) => localStorage.setItem('load-runs', text), JSON.stringify(runs));
    await standStill(world.now);
    await page.setViewportSize(size);
    await open();
    await page.locator('.runs tbody button').nth(1).click();
    await page.locator('#load-rate').fill('900');
    await expect.poll(() => text('load-rate-wrong'), WAIT).toContain('over the limit');
    await page.evaluate(() => window.scrollTo(0, 0));
    await look(page, name, { size });
    await page.evaluate(() => localStorage.removeItem('load-runs'));
  });
});

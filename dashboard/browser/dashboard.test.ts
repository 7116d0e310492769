import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openBrowser, publish as publishTo, Service, type Site, servePage } from './platform';

/** A dashboard that already runs somewhere; without it the test starts the service and the page itself. */
const deployed = process.env['DASHBOARD_URL'];
const WAIT = { timeout: 30_000 };

let service: Service | null = null;
let site: Site = { url: deployed ?? '', cut: () => {}, close: async () => {} };
let browser: Awaited<ReturnType<typeof openBrowser>>;
let page: Page;
let complaints: string[] = [];

beforeAll(async () => {
  if (!deployed) {
    service = await Service.start();
    site = await servePage(service.url);
  }
  const health = await fetch(`${site.url}/api/v1/health/ready`).catch((error: Error) => ({
    ok: false,
    status: error.message,
  }));
  if (!health.ok) throw new Error(`${site.url} has no healthy platform behind it (${health.status}): see ./sse status`);
  browser = await openBrowser();
});

afterAll(async () => {
  await browser?.close();
  await site.close();
  await service?.stop('SIGKILL');
});

beforeEach(async () => {
  complaints = [];
  page = await browser.context.newPage();
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // The browser itself logs every answer that isn't a success, and the page shows those.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      complaints.push(message.text());
  });
  await page.goto(site.url);
  await live();
});

afterEach(async () => {
  await page.close();
  expect(complaints).toEqual([]);
});

const text = async (id: string) => (await page.locator(`#${id}`).textContent()) ?? '';
const live = () => expect.poll(() => text('pill-text'), WAIT).toBe('live');
const column = (number: number) => page.locator(`#events td:nth-child(${number})`).allTextContents();
const marker = () => `browser-${process.pid}-${Math.random().toString(36).slice(2)}`;

const publish = (events: unknown, to = site.url) => publishTo(to, events);

async function publishOne(): Promise<void> {
  await page.getByRole('button', { name: 'Publish a test event' }).click();
  await expect.poll(() => text('publish-status'), WAIT).toMatch(/^Seen on the stream after [0-9.]+ ms\.$/);
}

describe('a dashboard in front of a platform that works', () => {
  it('shows the health checks, and which replica answered and streams', async () => {
    await expect.poll(() => page.locator('#checks li').count(), WAIT).toBeGreaterThan(0);
    expect(await text('health-note')).toMatch(/ is ready, answered in [0-9.]+ ms\./);
    await expect.poll(() => page.locator('#replicas li').count(), WAIT).toBeGreaterThan(0);
    expect(await text('subline')).toMatch(/^Streaming from \S+\. /);
    expect(await page.locator('#trouble').isVisible()).toBe(false);
  });

  it('measures from publishing to the stream', async () => {
    expect(await text('p50')).toBe('–');
    await publishOne();
    expect(Number(await text('p50'))).toBeGreaterThan(0);
    expect(await text('latency-note')).toMatch(
      /^From this browser, 1 sample; below 100 samples p99 is the slowest one\.$/,
    );
    await page.getByRole('button', { name: 'Publish 50' }).click();
    // Fifty round trips, one after the other: a machine that is busy with other things may take a second for each.
    await expect
      .poll(() => text('latency-note'), { timeout: 100_000 })
      .toMatch(/^From this browser, 51 samples; below/);
    expect(await page.locator('#dots i').count()).toBe(51);
    expect(Number(await text('p99'))).toBeGreaterThanOrEqual(Number(await text('p50')));
    expect(await text('doubles')).toBe('none twice');
  }, 150_000);

  it('shows events of every name, and their data as text', async () => {
    const name = marker();
    const html = '<img src="x" onerror="document.title=1"><b>bold</b>';
    const [id] = await publish({ channel: 'dashboard.test', event: name, data: html });
    await expect.poll(() => column(2), WAIT).toContain(name);
    expect(await column(3)).toContain(html);
    expect(await column(4)).toContain(id);
    expect(await page.locator('#events').locator('b, img').count()).toBe(0);
  });

  it('agrees with the browser’s own EventSource about event and id', async () => {
    const name = marker();
    await page.evaluate(
      (event) =>
        new Promise<void>((resolve, reject) => {
          const source = new EventSource('/api/v1/stream?channel=dashboard.test');
          source.onopen = () => resolve();
          source.onerror = () => reject(new Error('EventSource failed'));
          source.addEventListener(event, (message) => {
            document.body.dataset['native'] = `${message.lastEventId} ${message.data}`;
            source.close();
          });
        }),
      name,
    );
    const [id] = await publish({ channel: 'dashboard.test', event: name, data: { n: 1 } });
    await expect.poll(() => page.locator('body').getAttribute('data-native'), WAIT).toBe(`${id} {"n":1}`);
    await expect.poll(() => column(4), WAIT).toContain(id);
  });

  it('counts every event of a batch and keeps at most 100 rows', async () => {
    const name = marker();
    const seen = async () => Number((await text('seen')).replaceAll(',', ''));
    const before = await seen();
    await publish(Array.from({ length: 100 }, (_, n) => ({ channel: 'dashboard.test', event: name, data: { n } })));
    await expect.poll(() => page.locator('#events tr').count(), WAIT).toBe(100);
    await publish([{ channel: 'dashboard.test', event: `${name}-last`, data: 1 }]);
    await expect.poll(() => column(2), WAIT).toContain(`${name}-last`);
    expect(await seen()).toBeGreaterThanOrEqual(before + 101);
    expect(await page.locator('#events tr').count()).toBe(100);
    expect(await text('doubles')).toBe('none twice');
    await expect.poll(() => text('rate-summary'), WAIT).toMatch(/^Mean [0-9.]+, peak [0-9,]+ over /);
  });

  it('holds the table still while somebody reads', async () => {
    await publishOne();
    await expect.poll(async () => (await column(4)).length, WAIT).toBeGreaterThan(0);
    const rows = await column(4);
    await page.getByRole('button', { name: 'Hold still' }).click();
    await publish({ channel: 'dashboard.test', event: marker(), data: 1 });
    await expect.poll(() => text('events-note'), WAIT).toMatch(/^held still; [0-9,]+ events seen$/);
    expect(await column(4)).toEqual(rows);
    await page.getByRole('button', { name: 'Hold still', pressed: true }).click();
    await expect.poll(async () => (await column(4)).length, WAIT).toBeGreaterThan(rows.length);
  });

  it('says why statistics are missing, or shows them', async () => {
    await expect.poll(() => text('stats-note'), WAIT).toMatch(/^(As \S+ counted them|Not available: .+)/);
  });

  it.each([320, 768, 1440])('fits a screen of %i pixels in both themes', async (width) => {
    await page.setViewportSize({ width, height: 800 });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(overflow).toBeLessThanOrEqual(0);
    }
  });

  it('keeps a chosen theme for the next visit', async () => {
    await page.getByRole('button', { name: /Theme/ }).click();
    await page.reload();
    expect(await page.locator('html').getAttribute('data-theme')).toBe('light');
    for (const name of ['Theme: light', 'Theme: dark']) await page.getByRole('button', { name }).click();
    expect(await page.locator('html').getAttribute('data-theme')).toBeNull();
  });
});

describe('a stream that is refused', () => {
  it('says so, what to do, and comes back when asked', async () => {
    await page.route('**/api/v1/stream?*', (route) => route.fulfill({ status: 403, body: '{}' }));
    await page.reload();
    await expect.poll(() => text('pill-text'), WAIT).toBe('refused');
    expect(await text('trouble')).toContain('HTTP 403');
    expect(await text('rate')).toBe('–');
    await page.unroute('**/api/v1/stream?*');
    await page.getByRole('button', { name: 'Try now' }).click();
    await live();
    await expect.poll(() => page.locator('#trouble').isVisible(), WAIT).toBe(false);
  });
});

describe.skipIf(deployed)('a connection that breaks', () => {
  it('loses nothing and doubles nothing', async () => {
    const name = marker();
    const event = (n: number) => ({ channel: 'dashboard.test', event: name, data: n });
    await publish(event(0));
    await expect.poll(() => column(2), WAIT).toContain(name);
    site.cut();
    await publish([event(1), event(2)], service?.url);
    await expect.poll(() => text('reconnects'), WAIT).toBe('1');
    await expect.poll(() => text('seen'), WAIT).toBe('3');
    expect((await column(3)).filter((data) => /^[0-9]$/.test(data))).toEqual(['2', '1', '0']);
    expect([await text('doubles'), await text('breaks-note')]).toEqual(['none twice', 'no gap, no goodbye']);
  });
});

describe.skipIf(deployed)('a service that goes away', () => {
  it('killed: shows the cut and what to do; back: reconnects, says what was lost, and measures again', async () => {
    await publishOne();
    await service?.stop('SIGKILL');
    await expect.poll(() => text('pill-text'), WAIT).toBe('disconnected');
    expect(await text('headline')).toMatch(/^The stream is cut\. Trying /);
    await expect.poll(() => text('trouble'), WAIT).toContain('./sse status');
    await page.getByRole('button', { name: 'Publish a test event' }).click();
    await expect.poll(() => text('publish-status'), WAIT).toContain('./sse');

    await service?.start();
    await live();
    expect(await text('reconnects')).toBe('1');
    // The embedded log is gone with its process: the promise is an explicit gap.
    await expect.poll(() => text('breaks-note'), WAIT).toBe('1 gap, no goodbye');
    expect(await page.locator('#events tr.gap').textContent()).toContain('truncated');
    await expect.poll(() => page.locator('#trouble').isVisible(), WAIT).toBe(false);
    await publishOne();
  });

  it('stopped: shows the goodbye before the cut', async () => {
    await service?.stop('SIGTERM');
    await expect.poll(() => text('pill-text'), WAIT).toBe('disconnected');
    expect(await text('breaks-note')).toBe('no gap, 1 goodbye');
    expect(await page.locator('#events tr.bye').textContent()).toContain('draining');
    await service?.start();
    await live();
  });
});

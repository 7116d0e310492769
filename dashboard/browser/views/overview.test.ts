import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openBrowser, type Site, servePage } from '../platform';
import { World } from '../world';

/** How the overview tells the truth about a platform that a test decides about. */
const WAIT = { timeout: 60_000 };
let world: World;
let site: Site;
let browser: Awaited<ReturnType<typeof openBrowser>>;
let page: Page;
let complaints: string[] = [];

beforeAll(async () => {
  world = await World.make();
  site = await servePage();
  browser = await openBrowser();
});

afterAll(async () => {
  await browser?.close();
  await site?.close();
  world?.close();
});

beforeEach(async () => {
  complaints = [];
  page = await browser.context.newPage();
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // The browser itself logs every answer that is no success, and the page shows those.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      complaints.push(message.text());
  });
});

afterEach(async () => {
  await page.close();
  world.heal();
  expect(complaints).toEqual([]);
});

const headline = () => page.locator('#headline').textContent();

async function open(): Promise<void> {
  await page.goto(site.url);
  await expect.poll(headline, WAIT).not.toBe('Looking…');
}

describe('the overview of a platform where all is well', () => {
  it('says so, what changed last, and who is connected', async () => {
    await open();
    await expect.poll(headline, WAIT).toBe('All is well.');
    await expect
      .poll(() => page.locator('#subline').textContent(), WAIT)
      .toMatch(/release 9 \(6f29dad\) by anna, .*123 subscribers are connected at 3 replicas\./);
    await expect.poll(() => page.locator('#vitals').textContent(), WAIT).toBe('3/3 replicas0 alertsSLO 99.98 %');
  });

  it('shows what comes from outside as text', async () => {
    const html = '<img src="x" onerror="document.title=1"><b>bold</b>';
    const releases = world.releases() as { releases: { who: string }[] };
    world.write('releases', { ...releases, releases: [{ ...releases.releases[0], who: html }] });
    await open();
    await expect.poll(() => page.locator('#subline').textContent(), WAIT).toContain(html);
    expect(await page.locator('#subline').locator('b, img').count()).toBe(0);
  });
});

describe('the sentence tells the truth within seconds', () => {
  it.each<[fault: string, sentence: string, break_: (world: World) => void]>([
    ['a replica is stopped', 'app-2 does not answer: 2 of 3 replicas are ready.', (w) => w.stopped.add('app-2')],
    ['Kafka is stopped', 'Kafka answers no replica.', (w) => (w.kafka = 'KafkaConnectionError')],
    ['Redis is stopped', 'Redis answers no replica.', (w) => (w.redis = 'unavailable')],
    ['NGINX is gone', 'NGINX does not answer: nobody outside reaches the platform.', (w) => (w.nginx = 'gone')],
    [
      'Prometheus is gone',
      'Prometheus does not answer, so alerts and graphs are not known.',
      (w) => (w.prometheus = 'gone'),
    ],
    [
      'the token has expired',
      'The platform does not accept this page’s token: Unauthorized: the token has expired.',
      (w) => (w.token = 'expired'),
    ],
    ['the API answers with a page', 'The API answers with a page and not with JSON.', (w) => (w.nginx = 'html')],
  ])('%s: %s; then all is well again', async (_, sentence, breakIt) => {
    await open();
    await expect.poll(headline, WAIT).toBe('All is well.');
    breakIt(world);
    await expect.poll(headline, WAIT).toBe(sentence);
    world.heal();
    await expect.poll(headline, WAIT).toBe('All is well.');
  });

  it('the server of the page is gone: nothing is green any more', async () => {
    await open();
    await page.route('**/*', (route) => route.abort());
    await expect.poll(headline, WAIT).toContain('so nothing is known');
    expect(await page.locator('.parts [data-state=good]').count()).toBe(0);
  });
});

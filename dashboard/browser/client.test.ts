import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build } from 'vite';
import { Link, openBrowser, publish, Service } from './platform';

/** The TypeScript client in a browser, by both transports: cuts and a page that is loaded again lose and double nothing. */
const WAIT = { timeout: 30_000 };

interface Seen {
  data: string[];
  phase: string;
}

declare global {
  interface Window {
    seen: Seen;
    client: typeof import('sse-platform-client');
  }
}

let browser: Awaited<ReturnType<typeof openBrowser>>;
let service: Service;
let script: string;

beforeAll(async () => {
  service = await Service.start({ SSE_HEARTBEAT_SECONDS: '1', SSE_RETRY_MILLISECONDS: '100', SSE_CORS_ORIGINS: '*' });
  browser = await openBrowser();
  const entry = join(import.meta.dirname, '..', '..', 'clients', 'typescript', 'src', 'index.ts');
  const lib = { entry, formats: ['iife' as const], name: 'client' };
  const built = await build({ configFile: false, logLevel: 'silent', build: { write: false, lib } });
  const output = Array.isArray(built) ? built[0] : built;
  script = output !== undefined && 'output' in output ? output.output[0].code : '';
});

afterAll(async () => {
  await browser?.close();
  await service?.stop('SIGKILL');
});

/** Loads the page, which keeps what its stream gives it. */
async function load(page: Page, url: string, channel: string, transport: 'fetch' | 'eventsource'): Promise<void> {
  await page.goto(`${service.url}/api/v1/`);
  await page.addScriptTag({ content: script });
  await page.evaluate(
    ([url, channel, transport]) => {
      const seen: Seen = { data: [], phase: '' };
      const options = { url, channels: [channel], transport, types: ['created'], storage: sessionStorage };
      const stream = new window.client.EventStream(options);
      stream.changed = (state) => (seen.phase = state.phase);
      stream.on('created', (event) => seen.data.push(event.data));
      window.seen = seen;
    },
    [url, channel, transport] as const,
  );
}

describe.each(['fetch', 'eventsource'] as const)('by %s', (transport) => {
  it('every event comes once, in order, across cuts and a page that is loaded again', async () => {
    const [page, link] = [await browser.context.newPage(), await Link.to(service)];
    const channel = `client.${transport}`;
    const seen = () => page.evaluate(() => window.seen.data);
    const before: string[] = [];
    await load(page, link.url, channel, transport);
    await expect.poll(() => page.evaluate(() => window.seen.phase), WAIT).toBe('open');
    for (let n = 0; n < 60; n++) {
      await publish(service.url, { channel, event: 'created', data: String(n) });
      if (n % 20 === 10) link.cut();
      if (n % 20 === 19) await expect.poll(async () => (await seen()).length, WAIT).toBe(n + 1 - before.length);
      if (n === 39) {
        before.push(...(await seen()));
        await page.goto('about:blank');
      }
      if (n === 45) await load(page, link.url, channel, transport);
    }
    expect([...before, ...(await seen())]).toEqual(Array.from({ length: 60 }, (_, n) => String(n)));
    await page.close();
    link.close();
  });

  it('meta tells the channel and the time of each event, and is no event itself', async () => {
    const page = await browser.context.newPage();
    const channel = `meta.${transport}`;
    await page.goto(`${service.url}/api/v1/`);
    await page.addScriptTag({ content: script });
    await page.evaluate(
      ([url, channel, transport]) => {
        const seen: Seen = { data: [], phase: '' };
        const options = { url, channels: [channel], transport, types: ['created'], meta: true };
        const stream = new window.client.EventStream(options);
        stream.changed = (state) => (seen.phase = state.phase);
        stream.on('*', ({ type, data, channel, time }) =>
          seen.data.push(`${type} ${data} ${channel} ${time !== null}`),
        );
        window.seen = seen;
      },
      [service.url, channel, transport] as const,
    );
    await expect.poll(() => page.evaluate(() => window.seen.phase), WAIT).toBe('open');
    for (const n of [1, 2, 3]) await publish(service.url, { channel, event: 'created', data: String(n) });
    await expect.poll(() => page.evaluate(() => window.seen.data.length), WAIT).toBeGreaterThanOrEqual(3);
    expect(await page.evaluate(() => window.seen.data)).toEqual([1, 2, 3].map((n) => `created ${n} ${channel} true`));
    await page.close();
  });
});

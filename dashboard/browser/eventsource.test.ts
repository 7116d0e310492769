import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { GOLDENS, type Read } from './goldens';
import { Link, listening, openBrowser, publish, Service } from './platform';

/** What the browser's own EventSource makes of the service's streams: it reconnects and resumes with no script's help. */
const WAIT = { timeout: 30_000 };
const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

interface Heard {
  events: Read[];
  opened: number;
  state: number;
}

declare global {
  interface Window {
    heard: Heard;
    source: EventSource;
  }
}

let browser: Awaited<ReturnType<typeof openBrowser>>;
let page: Page;
let service: Service;
let link: Link;
const channel = () => `native.${Math.random().toString(36).slice(2)}`;

beforeAll(async () => {
  service = await Service.start({
    SSE_HEARTBEAT_SECONDS: '1',
    SSE_RETRY_MILLISECONDS: '100',
    SSE_MAX_STREAMS: '2',
    SSE_CORS_ORIGINS: '*',
  });
  browser = await openBrowser();
});

afterAll(async () => {
  await browser?.close();
  await service?.stop('SIGKILL');
});

beforeEach(async () => {
  link = await Link.to(service);
  page = await browser.context.newPage();
  await page.goto(`${service.url}/api/v1/`);
});

afterEach(async () => {
  await page.close();
  link.close();
});

/** Opens an EventSource in the page, which keeps what it hears; `once`: closes it at its first end. */
const open = (url: string, names: string[] = [], once = false) =>
  page.evaluate(
    ([at, listened, closes]) => {
      const heard: Heard = { events: [], opened: 0, state: 0 };
      const source = new EventSource(at);
      source.onopen = () => (heard.opened += 1);
      source.onerror = () => {
        heard.state = source.readyState;
        if (closes) source.close();
      };
      for (const name of new Set(['message', 'gap', 'bye', 'cursor', ...listened]))
        source.addEventListener(name, (event) => {
          heard.events.push([name, event.data as string, event.lastEventId]);
        });
      window.heard = heard;
      window.source = source;
    },
    [url, names, once] as const,
  );
const heard = () => page.evaluate(() => window.heard);
/** Without those that only carry the cursor. */
const events = async () => (await heard()).events.filter(([name]) => name !== 'cursor');
const state = () => page.evaluate(() => window.source.readyState);
const subscribe = (query: string) => open(`${link.url}/api/v1/stream?${query}`);
const sequence = (length: number) => Array.from({ length }, (_, n) => String(n));

describe('the rules of event streams', () => {
  it('are what the goldens say', async () => {
    const server = createServer((request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Access-Control-Allow-Origin': '*' });
      response.end(GOLDENS[Number(request.url?.slice(1))]?.stream);
    });
    const port = await listening(server);
    const read: Record<string, Read[]> = {};
    for (const [index, golden] of GOLDENS.entries()) {
      const names = golden.events.map(([name]) => name);
      await open(`http://127.0.0.1:${port}/${index}`, names, true);
      await expect.poll(state, WAIT).toBe(CLOSED);
      read[golden.name] = (await heard()).events;
    }
    expect(read).toEqual(Object.fromEntries(GOLDENS.map(({ name, events }) => [name, events])));
    server.close();
    await once(server, 'close');
  });
});

describe('a stream of the service', () => {
  it('that is cut again and again loses nothing and doubles nothing', async () => {
    const name = channel();
    await subscribe(`channel=${name}`);
    await expect.poll(state, WAIT).toBe(OPEN);
    for (let n = 0; n < 90; n++) {
      await publish(service.url, { channel: name, data: String(n) });
      if (n % 30 === 10) link.cut();
      if (n % 30 === 29) await expect.poll(async () => (await events()).length, WAIT).toBe(n + 1);
    }
    expect((await events()).map(([, data]) => data)).toEqual(sequence(90));
    expect((await heard()).opened).toBe(4);
  });

  it('moves the cursor by its heartbeats alone, by id and by event, and not by comment', async () => {
    for (const kind of ['id', 'event', 'comment']) {
      const name = channel();
      await subscribe(`channel=${name}&heartbeat=${kind}`);
      await expect.poll(state, WAIT).toBe(OPEN);
      const [before] = await publish(service.url, { channel: channel(), data: 'nobody here hears it' });
      link.sent = '';
      await expect.poll(() => link.sent, WAIT).toContain(kind === 'comment' ? ':\n\n' : `id: ${before}\n\n`);
      const connections = link.cursors.length;
      link.cut();
      await expect.poll(() => link.cursors.length, WAIT).toBe(connections + 1);
      expect([kind, link.cursors.at(-1) === before]).toEqual([kind, kind !== 'comment']);
      await page.evaluate(() => window.source.close());
    }
  });

  it('that resumes from nowhere begins with a gap', async () => {
    const name = channel();
    await subscribe(`channel=${name}&last_event_id=nonsense`);
    await expect.poll(async () => (await events()).length, WAIT).toBe(1);
    const [[event, data, id]] = (await events()) as [Read];
    expect([event, JSON.parse(data)]).toEqual([
      'gap',
      { requested: 'nonsense', resumed_from: id, reason: 'malformed' },
    ]);
  });

  it('that a full or draining replica answers by retry and its end is tried until it is served', async () => {
    const held = new AbortController();
    for (let n = 0; n < 2; n++)
      await fetch(`${service.url}/api/v1/stream?channel=held`, { signal: held.signal }).then((answer) =>
        expect(answer.status).toBe(200),
      );
    const name = channel();
    let attempts = 0;
    page.on('request', () => (attempts += 1));
    await subscribe(`channel=${name}`);
    await expect.poll(() => attempts, WAIT).toBeGreaterThan(3);
    expect(await state()).not.toBe(CLOSED);
    held.abort();
    await expect
      .poll(async () => {
        await publish(service.url, { channel: name, data: 'served' });
        return (await events()).map(([, data]) => data);
      }, WAIT)
      .toContain('served');
  });

  it('of a replica that is stopped says bye; that is back without its events says gap; then goes on', async () => {
    const name = channel();
    await subscribe(`channel=${name}`);
    await expect.poll(state, WAIT).toBe(OPEN);
    await publish(service.url, { channel: name, data: 'before' });
    await service.stop('SIGTERM');
    await expect.poll(async () => (await events()).map(([event]) => event), WAIT).toEqual(['message', 'bye']);
    expect(JSON.parse((await events())[1]?.[1] ?? '')).toEqual({ reason: 'draining' });
    await expect.poll(state, WAIT).toBe(CONNECTING);
    await service.start();
    await expect.poll(async () => (await events()).at(-1)?.[0], WAIT).toBe('gap');
    await publish(service.url, { channel: name, data: 'after' });
    await expect.poll(async () => (await events()).at(-1)?.[1], WAIT).toBe('after');
  });

  it('that is refused stays closed: a 4xx is final', async () => {
    await subscribe('channel=');
    await expect.poll(async () => (await heard()).state, WAIT).toBe(CLOSED);
  });
});

describe('statistics', () => {
  it('come every second, and by themselves again after a cut', async () => {
    await open(`${link.url}/api/v1/stats/stream`, ['stats']);
    const count = async () => (await events()).filter(([event]) => event === 'stats').length;
    await expect.poll(count, WAIT).toBeGreaterThan(1);
    link.cut();
    await expect.poll(async () => (await heard()).opened, WAIT).toBe(2);
    const before = await count();
    await expect.poll(count, WAIT).toBeGreaterThan(before);
  });
});

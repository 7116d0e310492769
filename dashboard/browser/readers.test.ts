import { EventSource } from 'eventsource';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Link, publish, Service } from './platform';

/** Streams of the real service as two libraries from npm read them. */
const WAIT = { timeout: 30_000 };
let service: Service;
const channel = () => `readers.${Math.random().toString(36).slice(2)}`;
const stream = (query: string, to = service.url) => `${to}/api/v1/stream?${query}`;

beforeAll(async () => {
  service = await Service.start({ SSE_HEARTBEAT_SECONDS: '1', SSE_RETRY_MILLISECONDS: '100' });
});

afterAll(() => service.stop('SIGKILL'));

interface Parsed {
  events: EventSourceMessage[];
  comments: string[];
  retries: number[];
  done: Promise<void>;
  end(): void;
}

/** Reads by fetch and eventsource-parser until the stream ends or `end` is called. */
function parse(url: string, headers: Record<string, string> = {}): Parsed {
  const abort = new AbortController();
  const seen: Parsed = { events: [], comments: [], retries: [], done: Promise.resolve(), end: () => abort.abort() };
  const parser = createParser({
    onEvent: (event) => seen.events.push(event),
    onComment: (comment) => seen.comments.push(comment),
    onRetry: (milliseconds) => seen.retries.push(milliseconds),
    onError: (error) => {
      throw error;
    },
  });
  seen.done = (async () => {
    const response = await fetch(url, { headers, signal: abort.signal });
    const decoder = new TextDecoder();
    for await (const part of response.body ?? []) parser.feed(decoder.decode(part, { stream: true }));
  })().catch((error: Error) => {
    if (error.name !== 'AbortError') throw error;
  });
  return seen;
}

describe('eventsource-parser', () => {
  it('reads retry, events and ids', async () => {
    const name = channel();
    const seen = parse(stream(`channel=${name}`));
    await expect.poll(() => seen.retries.length, WAIT).toBe(1);
    expect(seen.retries[0]).toBeGreaterThanOrEqual(50);
    expect(seen.retries[0]).toBeLessThanOrEqual(150);
    const [first, second] = await publish(service.url, [
      { channel: name, event: 'e', data: 'a\nb' },
      { channel: name, data: { n: 1 } },
    ]);
    await expect
      .poll(() => seen.events.filter(({ event }) => event !== 'cursor'), WAIT)
      .toEqual([
        { event: 'e', data: 'a\nb', id: first },
        { event: undefined, data: '{"n":1}', id: second },
      ]);
    seen.end();
    await seen.done;
  });

  it('hears no heartbeat by id, an event by event, a comment by comment', async () => {
    const name = channel();
    const [id, event, comment] = ['id', 'event', 'comment'].map((kind) =>
      parse(stream(`channel=${name}&heartbeat=${kind}`)),
    ) as [Parsed, Parsed, Parsed];
    await expect.poll(() => event.events.length, WAIT).toBeGreaterThan(1);
    expect(event.events[0]).toMatchObject({ event: 'cursor', data: '{}' });
    expect(event.events[0]?.id).toMatch(/^\d+-[0-9a-f]{8}$/);
    await expect.poll(() => comment.comments.length, WAIT).toBeGreaterThan(1);
    expect([id.events.length, id.comments, comment.events.length]).toEqual([1, [], 1]); // the opening is an event
    for (const one of [id, event, comment]) one.end();
  });

  it('reads a gap, with the cursor to go on from', async () => {
    const seen = parse(stream(`channel=${channel()}`), { 'Last-Event-ID': 'nonsense' });
    await expect.poll(() => seen.events.length, WAIT).toBe(1);
    const gap = JSON.parse(seen.events[0]?.data ?? '') as Record<string, string>;
    expect(gap).toEqual({ requested: 'nonsense', resumed_from: seen.events[0]?.id, reason: 'malformed' });
    seen.end();
  });
});

describe('eventsource', () => {
  it('reconnects by itself after a cut and gets every event once', async () => {
    const name = channel();
    const link = await Link.to(service);
    const source = new EventSource(stream(`channel=${name}&heartbeat=event`, link.url));
    const got: string[] = [];
    let opened = 0;
    source.addEventListener('open', () => (opened += 1));
    source.addEventListener('message', (message) => got.push(message.data as string));
    await expect.poll(() => opened, WAIT).toBe(1);
    for (let n = 0; n < 90; n++) {
      await publish(service.url, { channel: name, data: String(n) });
      if (n % 30 === 10) link.cut();
      if (n % 30 === 29) await expect.poll(() => got.length, WAIT).toBe(n + 1);
    }
    expect(got).toEqual(Array.from({ length: 90 }, (_, n) => String(n)));
    expect(opened).toBe(4);
    source.close();
    link.close();
  });

  it('learns its cursor from the opening, before the first event and the first heartbeat', async () => {
    const asked: string[] = [];
    for (const kind of ['id', 'event']) {
      const link = await Link.to(service);
      const source = new EventSource(stream(`channel=${channel()}&heartbeat=${kind}`, link.url), {
        fetch: (input, init) => {
          asked.push(`${kind} ${init.headers['Last-Event-ID'] ?? ''}`);
          return fetch(input, init);
        },
      });
      let beats = 0;
      source.addEventListener('cursor', () => (beats += 1));
      await expect.poll(() => beats, WAIT).toBeGreaterThan(0);
      link.cut();
      await expect.poll(() => asked.length % 2, WAIT).toBe(0);
      source.close();
      link.close();
    }
    const kinds = asked.map((one) => one.replace(/\d+-[0-9a-f]{8}$/, 'cursor'));
    expect(kinds).toEqual(['id ', 'id cursor', 'event ', 'event cursor']);
  });
});

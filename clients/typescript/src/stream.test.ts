import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, expectTypeOf, it, vi } from 'vitest';
import { EventStream, type StreamOptions, told } from './stream.js';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server;
let url: string;
let asked: IncomingMessage[];
let answers: Answer[];
let streams: EventStream[];

beforeEach(async () => {
  [asked, answers, streams] = [[], [], []];
  server = createServer((request, response) => {
    asked.push(request);
    // With nothing more to say the connection stays open, and silent.
    answers.shift()?.(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => {
  for (const stream of streams) stream.close();
  server.closeAllConnections();
  server.close();
});

/** A stream's answer that ends after this text. */
const says = (text: string, close = true, headers: Record<string, string> = {}): Answer => {
  return (_request, response) => {
    response.writeHead(200, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'X-Replica': 'sse-app-1',
      ...headers,
    });
    if (close) response.end(text);
    else response.write(text);
  };
};

const status = (code: number, body = '', headers: Record<string, string> = {}): Answer => {
  return (_request, response) => response.writeHead(code, headers).end(body);
};

function open(options: Partial<StreamOptions> = {}): EventStream {
  const stream = new EventStream({ url, channels: ['orders'], ...options });
  streams.push(stream);
  return stream;
}

const cursors = () => asked.map((request) => request.headers['last-event-id'] ?? null);
const parameters = () => new URL(asked[0]?.url ?? '', url).searchParams;

it('resumes after the last id heard, and delivers events of every name', async () => {
  answers = [
    says('retry: 1\nevent: cursor\ndata: {}\nid: 1-a\n\nevent: anything\ndata: {"n":1}\nid: 2-b\n\n'),
    says('retry: 1\nid: 3-c\n\nevent: other\ndata: text\nid: 4-d\n\n'),
  ];
  const names: string[] = [];
  const one: number[] = [];
  const stream = open();
  stream.on('*', (event) => names.push(`${event.type} ${event.id}`));
  stream.on('anything', (event) => one.push((event.json() as { n: number }).n));
  await vi.waitFor(() => expect(cursors()).toEqual([null, '2-b', '4-d']));
  expect(names).toEqual(['anything 2-b', 'other 4-d']);
  expect(one).toEqual([1]);
});

it('tells channel, time and trace of each event, and where it resumed from, where it is asked to', async () => {
  const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const meta = (channel: string) => `event: meta\ndata: {"channel":"${channel}","time":"2026-11-28T20:15:00.000Z"}\n\n`;
  const opening = 'retry: 1\nevent: cursor\ndata: {"source":"redis"}\nid: 1-a\n\n';
  const first = `${meta('a.x')}event: traceparent\ndata: ${trace}\n\ndata: 1\nid: 2-b\n\n`;
  // Cut between a meta and its event: what follows after the resume is described anew.
  answers = [
    says(`${opening}${first}${meta('lost')}`),
    says(`retry: 1\nid: 2-b\n\n${meta('a.y')}data: 2\nid: 3-c\n\n`, false),
  ];
  const stream = open({ meta: true, trace: true });
  const seen: unknown[] = [];
  const sources: (string | null)[] = [];
  stream.on('*', (event) => {
    seen.push([event.type, event.data, event.channel, event.time?.getTime() ?? null, event.traceparent]);
    sources.push(stream.state.source);
  });
  await vi.waitFor(() => expect(seen).toHaveLength(2));
  const at = Date.UTC(2026, 10, 28, 20, 15);
  expect(seen).toEqual([
    ['message', '1', 'a.x', at, trace],
    ['message', '2', 'a.y', at, null],
  ]);
  expect(sources).toEqual(['redis', null]);
  expect([parameters().get('meta'), parameters().get('trace')]).toEqual(['1', '1']);
});

it('gives an event named meta as it comes where nobody asked for it', async () => {
  answers = [says('retry: 1\nid: 1-a\n\nevent: meta\ndata: x\nid: 2-b\n\n', false)];
  const seen: string[] = [];
  open().on('*', (event) => seen.push(`${event.type} ${event.data} ${event.channel}`));
  await vi.waitFor(() => expect(seen).toEqual(['meta x null']));
  expect(parameters().get('meta')).toBeNull();
});

it('tells an old event named meta from what describes it', async () => {
  const meta = 'event: meta\ndata: {"channel":"a.x","time":"2026-11-28T20:15:00.000Z"}\n\n';
  const old = 'event: meta\ndata: {"channel":"forged"}\nid: 2-b\n\n';
  answers = [says(`retry: 1\nid: 1-a\n\n${meta}${old}${meta}data: 1\nid: 3-c\n\n`, false)];
  const seen: unknown[] = [];
  open({ meta: true }).on('*', (event) => seen.push([event.type, event.data, event.channel, event.id]));
  await vi.waitFor(() =>
    expect(seen).toEqual([
      ['meta', '{"channel":"forged"}', 'a.x', '2-b'],
      ['message', '1', 'a.x', '3-c'],
    ]),
  );
});

it('has a cursor before the first event', async () => {
  answers = [says('retry: 1\nevent: cursor\ndata: {}\nid: 1-a\n\n')];
  open();
  await vi.waitFor(() => expect(cursors()).toEqual([null, '1-a']));
});

it('goes on where a page was that is loaded again, with the storage of the page', async () => {
  const kept = new Map<string, string>();
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  };
  answers = [says('retry: 9000\nid: 1-a\n\ndata: x\nid: 2-b\n\n', false), says('', false)];
  const before = open({ storage });
  await vi.waitFor(() => expect(before.state.cursor).toBe('2-b'));
  before.close();
  open({ storage, last: 5 });
  await vi.waitFor(() => expect(cursors()).toEqual([null, '2-b']));
  open({ storage, channels: ['others'] });
  await vi.waitFor(() => expect(cursors()).toEqual([null, '2-b', null]));
});

it('goes on without the storage of a page that is full, or closed to it', async () => {
  const full = () => {
    throw new DOMException('The quota has been exceeded.', 'QuotaExceededError');
  };
  answers = [says('retry: 1\nid: 1-a\n\ndata: x\nid: 2-b\n\ndata: y\nid: 3-c\n\nid\n\n', false)];
  const heard: string[] = [];
  const stream = open({ storage: { getItem: full, setItem: full, removeItem: full } });
  stream.on('*', (event) => void heard.push(event.data));
  await vi.waitFor(() => expect(heard).toEqual(['x', 'y']));
  await vi.waitFor(() => expect(stream.state).toMatchObject({ phase: 'open', cursor: null }));
  expect(asked).toHaveLength(1);
});

it('goes on where a function of the page fails, which the page sees', async () => {
  const seen: unknown[] = [];
  const caught = (error: unknown) => void seen.push(error);
  process.on('uncaughtException', caught);
  const fails = () => {
    throw new Error('of the page');
  };
  answers = [says('retry: 1\nid: 1-a\n\ndata: x\nid: 2-b\n\n'), says('retry: 1\nid: 2-b\n\n', false)];
  const stream = open();
  stream.changed = fails;
  stream.on('message', fails);
  await vi.waitFor(() => expect(cursors()).toEqual([null, '2-b']));
  await vi.waitFor(() => expect(seen).toContainEqual(new Error('of the page')));
  stream.changed = () => {};
  process.off('uncaughtException', caught);
});

it('gives an event named * once to those who listen to all', async () => {
  answers = [says('retry: 1\nid: 1-a\n\nevent: *\ndata: x\nid: 2-b\n\ndata: y\nid: 3-c\n\n', false)];
  const heard: string[] = [];
  open().on('*', (event) => void heard.push(event.data));
  await vi.waitFor(() => expect(heard).toEqual(['x', 'y']));
});

it('takes an empty id for none, as the service does', async () => {
  open({ lastEventId: '', last: 5 });
  await vi.waitFor(() => expect(asked).toHaveLength(1));
  expect(cursors()).toEqual([null]);
  expect(parameters().get('last')).toBe('5');
});

it('begins with no event where nothing of the past is asked for', async () => {
  open({ last: 0 });
  await vi.waitFor(() => expect(asked).toHaveLength(1));
  expect(parameters().get('last')).toBe('0');
});

describe('asks for', () => {
  it.each<[Partial<StreamOptions>, Record<string, string>]>([
    [{ from: 'earliest' }, { from: 'earliest' }],
    [{ last: 10 }, { last: '10' }],
    [{ since: new Date(0) }, { since: '1970-01-01T00:00:00.000Z' }],
    [{ since: 1700000000 }, { since: '1700000000' }],
    [{ query: { ticket: 't' } }, { ticket: 't' }],
  ])('%j', async (options, expected) => {
    open(options);
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    expect(Object.fromEntries(parameters())).toEqual({ channel: 'orders', ...expected });
  });

  it('more names than an address can hold by POST, again after each cut', async () => {
    const bodies: unknown[] = [];
    const told: Answer = async (request, response) => {
      let body = '';
      for await (const part of request) body += part;
      bodies.push(JSON.parse(body));
      says('retry: 1\nid: 1-a\n\n')(request, response);
    };
    answers = [told, told];
    const channels = Array.from({ length: 50 }, (_, n) => `${'a'.repeat(190)}.${n}`);
    open({ channels, meta: true, last: 5, query: { ticket: 't', heartbeat: 'id' }, token: 'secret' });
    await vi.waitFor(() => expect(bodies).toHaveLength(2));
    expect(bodies[0]).toEqual({ channel: channels, meta: '1', last: '5', heartbeat: 'id' });
    expect(bodies[1]).toEqual({ channel: channels, meta: '1', heartbeat: 'id' });
    expect(asked[0]).toMatchObject({ method: 'POST', url: '/api/v1/stream?ticket=t' });
    expect(asked[0]?.headers).toMatchObject({ authorization: 'Bearer secret', 'content-type': 'application/json' });
    expect(cursors().slice(0, 2)).toEqual([null, '1-a']);
  });

  it('every channel, with the token and the headers', async () => {
    open({ channels: ['a', 'b.*'], token: async () => 'secret', headers: { traceparent: 'x' } });
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    expect(parameters().getAll('channel')).toEqual(['a', 'b.*']);
    expect(asked[0]?.headers).toMatchObject({ authorization: 'Bearer secret', traceparent: 'x' });
  });
});

describe('an answer that is no stream', () => {
  it.each<[string, Answer, string]>([
    ['a page', status(200, '<html>', { 'Content-Type': 'text/html' }), 'HTTP 200: text/html, not text/event-stream'],
    [
      'JSON',
      status(200, '{}', { 'Content-Type': 'application/json' }),
      'HTTP 200: application/json, not text/event-stream',
    ],
    ['stop', status(204), 'HTTP 204: no type, not text/event-stream'],
    ['a refusal', status(403, '{"detail":"no right to orders"}'), 'HTTP 403: no right to orders'],
    ['an endless line', says('x'.repeat(9_000_000)), 'RangeError: an endless line'],
  ])('%s is named', async (_name, answer, reason) => {
    answers = [answer];
    const stream = open();
    await vi.waitFor(() => expect(stream.state.reason).toBe(reason), 10_000); // a machine that is busy
  });

  it('asks once more with a fresh token after 401, and then no more', async () => {
    const tokens = ['old', 'new'];
    answers = [status(401), status(401)];
    const stream = open({ token: () => tokens.shift() ?? 'none' });
    await vi.waitFor(() => expect(stream.state.phase).toBe('refused'));
    expect(asked.map((request) => request.headers.authorization)).toEqual(['Bearer old', 'Bearer new']);
  });

  it('ends a loop with the reason', async () => {
    answers = [status(403, '{"title":"Forbidden"}')];
    const loop = (async () => {
      for await (const _event of open()) throw new Error('there is no event');
    })();
    await expect(loop).rejects.toThrow('HTTP 403: Forbidden');
  });
});

it('comes back after silence', async () => {
  answers = [says('retry: 1\nid: 1-a\n\n', false)];
  const stream = open({ silenceMs: 50 });
  await vi.waitFor(() => expect(cursors()).toEqual([null, '1-a']));
  expect(stream.state.reason).toBe('nothing was heard for 0.05 s');
});

it.each([0, NaN, 1e12, Infinity])('does not take %d ms of silence for one that is over at once', async (silenceMs) => {
  answers = [says('retry: 1\nid: 1-a\n\n', false)];
  const stream = open({ silenceMs });
  await vi.waitFor(() => expect(stream.state.phase).toBe('open'));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(cursors()).toEqual([null]);
});

it('gives events to a loop one after the other, with gaps and goodbyes, and ends with the loop', async () => {
  answers = [
    says(
      'retry: 1\nevent: gap\ndata: {"requested":"9-z","resumed_from":"1-a","reason":"expired"}\nid: 1-a\n\n' +
        'data: x\nid: 2-b\n\nevent: bye\ndata: {"reason":"draining"}\nid: 2-b\n\n',
      false,
    ),
  ];
  const stream = open();
  const seen: string[] = [];
  for await (const event of stream) {
    const gap = told(event, 'gap');
    seen.push(gap ? `gap after ${gap.requested}: ${gap.reason}` : `${event.type} ${event.data}`);
    if (told(event, 'bye')) break;
  }
  expect(seen).toEqual(['gap after 9-z: expired', 'message x', 'bye {"reason":"draining"}']);
  expect(stream.state.phase).toBe('closed');
  await vi.waitFor(() => expect(asked[0]?.socket.destroyed).toBe(true));
});

it('reads no further than a slow loop takes, and loses nothing', async () => {
  const block = (n: number) => `data: ${n}\nid: ${n}-a\n\n`;
  const all = Array.from({ length: 5_000 }, (_, n) => n);
  answers = [
    async (request, response) => {
      says('retry: 1\nid: x\n\n', false)(request, response);
      for (let n = 0; n < all.length; n += 100) {
        response.write(
          all
            .slice(n, n + 100)
            .map(block)
            .join(''),
        );
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  ];
  const seen: number[] = [];
  for await (const event of open()) {
    seen.push(Number(event.data));
    if (seen.length % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    if (seen.length === all.length) break;
  }
  expect(seen).toEqual(all);
});

it('ends by the signal of who opened it', async () => {
  answers = [says('retry: 1\nid: 1-a\n\n', false)];
  const page = new AbortController();
  const stream = open({ signal: page.signal });
  await vi.waitFor(() => expect(stream.state.phase).toBe('open'));
  page.abort();
  expect(stream.state.phase).toBe('closed');
  await vi.waitFor(() => expect(asked[0]?.socket.destroyed).toBe(true));
});

it('tells an event named error from an EventSource that comes back', async () => {
  class Stub extends EventTarget {
    static readonly CLOSED = 2;
    readyState = 1;
    constructor(readonly address: string) {
      super();
      sources.push(this);
    }
    set onerror(called: () => void) {
      this.addEventListener('error', called);
    }
    close(): void {}
  }
  const sources: Stub[] = [];
  vi.stubGlobal('EventSource', Stub);
  const stream = open({ transport: 'eventsource', types: ['error'] });
  const heard: string[] = [];
  stream.on('*', (event) => void heard.push(`${event.type} ${event.data} ${event.id}`));
  await vi.waitFor(() => expect(sources).toHaveLength(1));
  const [source] = sources;
  source?.dispatchEvent(new MessageEvent('error', { data: 'published', lastEventId: '1-a' }));
  expect(stream.state.phase).toBe('open');
  Object.assign(source ?? {}, { readyState: 0 });
  source?.dispatchEvent(new Event('error'));
  expect(stream.state).toMatchObject({ phase: 'waiting', reason: 'the connection broke' });
  expect(heard).toEqual(['error published 1-a']);
  vi.unstubAllGlobals();
});

it('refuses a date that is none at once', () => {
  expect(() => open({ since: new Date('yesterday') })).toThrow(RangeError);
});

describe('what nobody can send', () => {
  it.each<[string, Partial<StreamOptions>]>([
    ['an address without a scheme', { url: 'sse.example.org' }],
    ['an address with a password', { url: `http://me:${'secret'}@127.0.0.1` }],
    ['no address outside of a page', { url: '' }],
    ['a token that no header can carry', { token: 'secret\u20ac' }],
    ['a token with a line end inside', { token: 'secret\nX: 1' }],
    ['a header with a wrong name', { headers: { 'a b': 'secret' } }],
  ])('%s is refused, and not tried again without end', async (_name, options) => {
    const stream = open(options);
    await vi.waitFor(() => expect(stream.state.phase).toBe('refused'));
    expect(stream.state.reason).toBe('RefusedError: HTTP 0: wrong address, token or header');
    expect(asked).toHaveLength(0);
  });

  it('ends a loop', async () => {
    const loop = (async () => {
      for await (const _event of open({ url: 'sse.example.org' })) throw new Error('there is no event');
    })();
    await expect(loop).rejects.toThrow('wrong address');
  });

  it.each<[string, Partial<StreamOptions>, string]>([
    ['a token that nobody gives now', { token: () => Promise.reject(new Error('no session')) }, 'Error: no session'],
    ['no EventSource', { transport: 'eventsource' }, 'ReferenceError: EventSource is not defined'],
  ])('%s is told, and ends no program', async (_name, options, reason) => {
    const stream = open(options);
    await vi.waitFor(() => expect(stream.state).toMatchObject({ phase: 'waiting', reason }));
  });
});

it.each([
  ['letters beyond ASCII', '\u65e5\u672c', '??'],
  ['half of a pair', '\ud83d', '?'],
  ['line ends', 'a\r\nX: 1', 'a??X: 1'],
  ['NUL', 'a\0', 'a?'],
])('resumes with a storage that holds %s, which the service calls malformed', async (_what, kept, sent) => {
  open({ storage: { getItem: () => kept, setItem() {}, removeItem() {} } });
  await vi.waitFor(() => expect(cursors()).toEqual([sent]));
});

it('takes one name of a channel for a list, and the address of the API for that of the platform', async () => {
  open({ url: `${url}/api/v1/`, channels: 'orders' as unknown as string[] });
  await vi.waitFor(() => expect(asked[0]?.url).toBe('/api/v1/stream?channel=orders'));
});

it('needs a channel', () => {
  expect(() => open({ channels: [] })).toThrow('channels: expected at least one');
});

it('knows the type of what each name carries', () => {
  const stream = new EventStream<{ created: { id: number } }>({ channels: ['orders'], signal: AbortSignal.abort() });
  stream.on('created', (event) => expectTypeOf(event.json()).toEqualTypeOf<{ id: number }>());
  stream.on('gap', (event) => expectTypeOf(event.json().resumed_from).toEqualTypeOf<string>());
  // @ts-expect-error - no event has this name
  stream.on('creatd', () => {});
});

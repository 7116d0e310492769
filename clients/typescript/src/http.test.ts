import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { history, OutcomeUnknownError, publish, type PublishOptions, RefusedError } from './http.js';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let url: string;
let close: () => void;
let answers: Answer[];
let asked: { path: string; headers: IncomingMessage['headers']; body: string }[];

beforeEach(async () => {
  [answers, asked] = [[], []];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    asked.push({ path: request.url ?? '', headers: request.headers, body });
    answers.shift()?.(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  close = () => {
    server.closeAllConnections();
    server.close();
  };
});

afterEach(() => close());

const status = (code: number, body: unknown = '', headers: Record<string, string> = {}): Answer => {
  return (_request, response) =>
    response.writeHead(code, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
};
const event = { channel: 'orders', data: { n: 1 } };

describe('publish', () => {
  it('sends one key with every attempt until the events are stored', async () => {
    answers = [
      status(503, { outcome: 'unknown' }),
      (request) => request.socket.destroy(),
      status(429, '', { 'Retry-After': '0' }),
      status(202, { ids: ['7-a'] }),
    ];
    expect(await publish(event, { url, token: 'secret' })).toEqual(['7-a']);
    expect(new Set(asked.map((one) => one.headers['idempotency-key'])).size).toBe(1);
    expect(asked).toHaveLength(4);
    expect(asked[0]).toMatchObject({ path: '/api/v1/events', body: JSON.stringify(event) });
    expect(asked[0]?.headers).toMatchObject({ authorization: 'Bearer secret', 'content-type': 'application/json' });
  });

  it.each([400, 401, 403, 409, 413, 422])('%i is final, and says why', async (code) => {
    answers = [status(code, { detail: 'the reason' })];
    await expect(publish(event, { url })).rejects.toThrow(new RefusedError(code, 'the reason'));
    expect(asked).toHaveLength(1);
  });

  it.each([
    ['data that JSON has no words for', { ...event, data: 1n }, {}],
    ['a key that no header can carry', event, { key: 'k\u20ac' }],
    ['an empty key, which the service takes for none', event, { key: '' }],
    ['a key of white space, of which a header leaves nothing', event, { key: ' \t' }],
    ['a key with NUL', event, { key: 'a\0' }],
  ])('throws %s at once, and sends nothing', async (_what, wrong, options) => {
    await expect(publish(wrong, { url, ...options })).rejects.toThrow(TypeError);
    expect(asked).toHaveLength(0);
  });

  it.each<[string, PublishOptions]>([
    ['an address without a scheme', { url: 'sse.example.org' }],
    ['an address with a password', { url: `http://me:${'secret'}@127.0.0.1` }],
    ['no address outside of a page', { url: '' }],
    ['a token that no header can carry', { token: 'secret\u20ac' }],
    ['a header with a wrong name', { headers: { 'a b': 'secret' } }],
  ])('%s is refused at once: nothing was sent, and no outcome is unknown', async (_what, options) => {
    const refused = new RefusedError(0, 'wrong address, token or header');
    await expect(publish(event, { url, ...options })).rejects.toThrow(refused);
    await expect(history('orders', { url, ...options })).rejects.toThrow(refused);
    expect(asked).toHaveLength(0);
  });

  it('says what failed before anything was sent, such as a token that nobody gave', async () => {
    const token = () => Promise.reject(new Error('no session'));
    await expect(publish(event, { url, token, seconds: 0.3 })).rejects.toThrow('no session');
    let asks = 0;
    const once = () => (asks++ ? token() : 'secret');
    answers = [status(503)];
    const failed = publish(event, { url, token: once, key: 'mine', seconds: 0.5 });
    await expect(failed).rejects.toThrow(new OutcomeUnknownError('mine'));
  });

  it.each([408, 425, 500, 520, 522, 524])('%i is tried again: the events may be stored', async (code) => {
    answers = [status(code), status(202, { ids: ['7-a'] })];
    expect(await publish(event, { url })).toEqual(['7-a']);
    expect(asked).toHaveLength(2);
  });

  it('says that it is over its rate, unless an attempt before may have been stored', async () => {
    const limited = status(429, { detail: 'over 100 events' }, { 'Retry-After': '60' });
    answers = [limited];
    await expect(publish(event, { url })).rejects.toThrow(new RefusedError(429, 'over 100 events'));
    answers = [status(503), limited];
    await expect(publish(event, { url, key: 'mine' })).rejects.toThrow(new OutcomeUnknownError('mine'));
  });

  it('takes no page for an answer of the service', async () => {
    answers = [status(200, '<html>')];
    await expect(publish(event, { url })).rejects.toThrow('the answer is not of the service');
  });

  it('gives the key where nobody knows whether the events are stored', async () => {
    answers = [status(503), status(503), status(503), status(503), status(503), status(503)];
    const failed = publish(event, { url, key: 'mine', seconds: 0.3 });
    await expect(failed).rejects.toThrow(new OutcomeUnknownError('mine'));
  });

  it.each([0.9005, 1e9, Infinity])('tries for %d seconds', async (seconds) => {
    answers = [status(202, { ids: ['7-a'] })];
    expect(await publish(event, { url, seconds })).toEqual(['7-a']);
  });

  it('does not try without end for seconds that are no number', async () => {
    answers = [status(503), status(503)];
    await expect(publish(event, { url, seconds: NaN })).rejects.toThrow(OutcomeUnknownError);
  });

  it('waits as long as Retry-After says, or gives up at once where that is too long', async () => {
    const date = new Date(Date.now() + 60_000).toUTCString();
    answers = [status(503, '', { 'Retry-After': date })];
    await expect(publish(event, { url, seconds: 5 })).rejects.toThrow(OutcomeUnknownError);
    expect(asked).toHaveLength(1);
  });
});

describe('history', () => {
  it('asks for a page, and gives the cursor that a stream goes on from', async () => {
    answers = [status(200, { events: [{ id: '1-a', event: 'message', data: 'x' }], cursor: '9-b' })];
    const page = await history('orders.eu', { url, limit: 5, before: '3-c', meta: true });
    expect(asked[0]?.path).toBe('/api/v1/channels/orders.eu/history?limit=5&before=3-c&meta=1');
    expect(page).toMatchObject({ cursor: '9-b', events: [{ id: '1-a' }] });
  });

  it('says why it is refused', async () => {
    answers = [status(403, { title: 'Forbidden' })];
    await expect(history('orders', { url })).rejects.toThrow('HTTP 403: Forbidden');
  });
});

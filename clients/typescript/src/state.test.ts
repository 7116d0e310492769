import { describe, expect, it } from 'vitest';
import type { Block } from './parser.js';
import { advance, initialState, parsed, textOf, type Signal, type StreamState } from './state.js';

const attempt: Signal = { type: 'attempt', at: 1 };
const answer: Signal = {
  type: 'answer',
  at: 2,
  status: 200,
  contentType: 'text/event-stream; charset=utf-8',
  replica: 'sse-app-1',
  retryAfterMs: 0,
  detail: '',
};
const ended: Signal = { type: 'ended', at: 9, reason: 'the connection broke' };
const block = (part: Partial<Block>, at = 3): Signal => ({
  type: 'block',
  at,
  block: { event: 'message', data: null, id: null, ...part },
});
const status = (code: number, contentType = 'application/problem+json'): Signal =>
  ({ ...answer, status: code, contentType }) as Signal;

const after = (...signals: Signal[]): StreamState => signals.reduce(advance, initialState(0));

describe('a stream is open only once the server has sent a cursor or an event', () => {
  it('an answer alone is still connecting', () => expect(after(attempt, answer).phase).toBe('connecting'));
  it('the first cursor opens it', () => {
    expect(after(attempt, answer, block({ id: '5-ab' }))).toMatchObject({
      phase: 'open',
      since: 3,
      cursor: '5-ab',
      opened: 1,
    });
  });
  it('a 200 that closes without a cursor (nginx with no replica) is a failed attempt', () => {
    expect(after(attempt, answer, { type: 'retry', milliseconds: 500 }, ended)).toMatchObject({
      phase: 'waiting',
      failures: 1,
      opened: 0,
    });
  });
});

describe('reconnecting', () => {
  const open: Signal[] = [attempt, answer, block({ id: '5-ab' })];

  it('counts a stream that opens again, not the first one nor failed attempts', () => {
    expect(after(...open).opened).toBe(1);
    expect(after(...open, ended, attempt, ended, attempt).opened).toBe(1);
    expect(after(...open, ended, attempt, ended, ...open).opened).toBe(2);
  });
  it('keeps the cursor across breaks', () => expect(after(...open, ended, attempt).cursor).toBe('5-ab'));
  it('waits as long as the server asked after a stream that was open', () => {
    expect(after(...open, { type: 'retry', milliseconds: 700 }, ended).delayMs).toBe(700);
  });
  it('waits longer each time nothing opens, to a limit', () => {
    let state = after({ type: 'retry', milliseconds: 1000 });
    const delays = Array.from({ length: 7 }, () => {
      state = advance(advance(state, attempt), ended);
      return state.delayMs;
    });
    expect(delays).toEqual([1000, 2000, 4000, 8000, 15000, 15000, 15000]);
  });
  it('never asks sooner than the server said, for up to five minutes', () => {
    expect(after({ type: 'retry', milliseconds: 60_000 }, attempt, ended).delayMs).toBe(60_000);
  });
  it('pauses also where the server asks for no pause, and longer each time nothing opens', () => {
    const none: Signal = { type: 'retry', milliseconds: 0 };
    expect(after(...open, none, ended).delayMs).toBe(100);
    expect(after(none, attempt, ended, attempt, ended, attempt, ended).delayMs).toBe(400);
  });
  it.each([2 ** 31, 1e20, Infinity])('takes a retry of %s for one that a timer can wait', (milliseconds) => {
    for (const before of [[attempt], open])
      expect(after(...before, { type: 'retry', milliseconds }, ended).delayMs).toBe(300_000);
  });
});

describe('answers that are no stream', () => {
  it.each([400, 401, 403, 404, 410, 422])('%i is final', (code) => {
    expect(after(attempt, status(code), ended)).toMatchObject({ phase: 'refused', reason: `HTTP ${code}` });
  });
  it.each([408, 425, 429, 500, 502, 503, 504])('%i is tried again', (code) => {
    expect(after(attempt, status(code), ended)).toMatchObject({
      phase: 'waiting',
      reason: `HTTP ${code}`,
      failures: 1,
    });
  });
  it('204 says that there is nothing to come back for', () =>
    expect(after(attempt, status(204), ended)).toMatchObject({
      phase: 'refused',
      reason: expect.stringContaining('204'),
    }));
  it.each(['text/event-stream', 'Text/Event-Stream;charset=UTF-8', ' text/event-stream ; x=y'])(
    '%s is a stream',
    (type) => expect(after(attempt, status(200, type)).phase).toBe('connecting'),
  );
  it.each(['text/event-streams', 'text/plain', ''])('%s is none', (type) =>
    expect(after(attempt, status(200, type)).phase).toBe('refused'),
  );
  it('waits at least as long as Retry-After says, at most five minutes', () => {
    const later = (retryAfterMs: number): Signal => ({ ...status(429), retryAfterMs }) as Signal;
    expect(after(attempt, later(7_000)).delayMs).toBe(7_000);
    expect(after(attempt, later(9_999_999)).delayMs).toBe(300_000);
  });
  it('names what the service says of a refusal', () => {
    const refused = { ...status(403), detail: 'the token has no right to orders' } as Signal;
    expect(after(attempt, refused).reason).toBe('HTTP 403: the token has no right to orders');
  });
  it('closed is for good', () => {
    expect(after(attempt, { type: 'closed', at: 4 }, answer, block({ id: '1-a' }), ended).phase).toBe('closed');
  });
  it('a page instead of a stream is refused and named', () => {
    expect(after(attempt, status(200, 'text/html'), ended)).toMatchObject({
      phase: 'refused',
      reason: expect.stringContaining('text/html'),
    });
  });
  it('a refused stream can be tried again by hand', () => {
    expect(after(attempt, status(403), attempt, answer, block({ id: '1-a' })).phase).toBe('open');
  });
});

describe('what the service says in the stream', () => {
  it('counts gaps and goes on', () => {
    const state = after(attempt, answer, block({ event: 'gap', data: '{"reason":"expired"}', id: '8-ef' }));
    expect(state).toMatchObject({ phase: 'open', gaps: 1, cursor: '8-ef' });
  });
  it('a goodbye is the reason for the end that follows', () => {
    const state = after(
      attempt,
      answer,
      block({ id: '1-a' }),
      block({ event: 'bye', data: '{"reason":"draining"}' }),
      ended,
    );
    expect(state).toMatchObject({ phase: 'waiting', byes: 1, reason: 'the server said goodbye (draining)' });
  });
  it('a goodbye doesn’t explain later ends', () => {
    const first = [attempt, answer, block({ event: 'bye', data: '{}' }), ended];
    expect(after(...first, attempt, answer, block({ id: '2-b' }), ended).reason).toBe('the connection broke');
  });
  it('heartbeats move the cursor; an empty id drops it', () => {
    expect(after(attempt, block({ id: '1-a' }), block({ id: '2-b' }), block({ data: 'x' })).cursor).toBe('2-b');
    expect(after(attempt, block({ id: '1-a' }), block({ id: '' })).cursor).toBeNull();
  });
  it.each([
    ['{"reason":"expired"}', 'expired'],
    ['{}', null],
    ['[]', null],
    ['null', null],
    ['no json', null],
  ])('reads the reason of %s', (data, reason) => expect(textOf(parsed(data), 'reason')).toBe(reason));
});

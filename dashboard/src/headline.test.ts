import { describe, expect, it } from 'vitest';
import { checksOf, type Outcome } from './api';
import { headline } from './headline';
import { initialState, type StreamState } from 'sse-platform-client';

const open: StreamState = { ...initialState(0), phase: 'open', opened: 1, replica: 'sse-app-2' };
const cut: StreamState = { ...open, phase: 'waiting', since: 0, delayMs: 3000, reason: 'the connection broke' };
const body = (kafka: string, redis = 'ok') => ({ status: 'x', checks: { kafka, redis } });
const answer = (status: number, kafka: string) => ({
  status,
  replica: 'sse-app-1',
  milliseconds: 1,
  body: body(kafka),
});
const good: Outcome = { ok: true, answer: answer(200, 'ok') };
const bad: Outcome = { ok: false, answer: answer(503, 'down'), failure: { what: 'HTTP 503.', advice: '' } };
const say = (state: StreamState, health: Outcome | null, rate: number | null) =>
  headline(state, health, health?.answer ? checksOf(health.answer.body, health.ok) : null, rate, 1000).text;

describe('the headline says only what is known', () => {
  it('nothing yet', () => expect(say(initialState(0), null, null)).toBe('Looking…'));
  it('a stream, health not asked', () => expect(say(open, null, 3)).toBe('The stream is open.'));
  it('all well and quiet', () => expect(say(open, good, 0)).toBe('Everything answers. All quiet.'));
  it('all well and busy', () => expect(say(open, good, 12.34)).toBe('Everything answers. 12.3 events a second.'));
  it('a failing check by name', () => expect(say(open, bad, 9)).toBe('Live, but not kafka.'));
  it('a cut with the time left, even while health is good', () =>
    expect(say(cut, good, 9)).toBe('The stream is cut. Trying again in 2 s.'));
  it('a refusal', () => expect(say({ ...open, phase: 'refused' }, good, 9)).toBe('The stream is refused.'));
  it('a part that is down while the API is ready', () => {
    const degraded: Outcome = { ok: true, answer: { ...answer(200, 'ok'), body: body('ok', 'unavailable') } };
    expect(say(open, degraded, 0)).toBe('Live, but not redis.');
  });
  it.each([
    ['purple', 'ok', '1 of 2 checks passed.'],
    ['ok', 'disabled', '1 of 1 check passed. redis is switched off.'],
  ])('checks kafka %s, redis %s: %s', (kafka, redis, words) => {
    const more = headline(open, good, checksOf(body(kafka, redis), true), 0, 0).more;
    expect(more).toBe(`Streaming from sse-app-2. ${words}`);
  });
});

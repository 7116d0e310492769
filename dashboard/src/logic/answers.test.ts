import { describe, expect, it } from 'vitest';
import { checksOf, explain } from './answers';

describe('an answer that isn’t a success says what to do', () => {
  it.each([200, 400, 401, 403, 404, 413, 422, 429, 500, 502, 503, 504])('%i', (status) => {
    const { what, advice } = explain({ status, body: undefined });
    expect(what).not.toBe('');
    expect(advice).toMatch(/\.$/);
  });
  it('shows the service’s own words', () => {
    const body = { title: 'Unavailable', detail: 'Kafka does not answer', outcome: 'unknown' };
    expect(explain({ status: 503, body }).what).toBe('Unavailable: Kafka does not answer');
  });
  it('tells NGINX that is gone from replicas that are', () => {
    expect(explain({ status: 502, body: { code: 'nginx-gone' } }).what).toMatch(/^NGINX does not answer/);
    expect(explain({ status: 502, body: undefined }).what).toMatch(/^No replica answers/);
  });
});

describe('health checks', () => {
  it.each<[unknown, boolean, string, string]>([
    ['ok', true, 'ok', 'ok'],
    [true, true, 'ok', 'true'],
    ['unavailable', true, 'failed', 'unavailable'],
    [false, true, 'failed', 'false'],
    ['disabled', true, 'off', 'disabled'],
    ['disabled', false, 'off', 'disabled'],
    ['purple', true, 'unknown', 'purple'],
    ['KafkaConnectionError: no broker', false, 'failed', 'KafkaConnectionError: no broker'],
    [{ status: 'ok', latency_ms: 2 }, true, 'ok', 'ok, 2'],
    [{ status: 'failed', detail: 'refused' }, true, 'failed', 'failed, refused'],
    [null, true, 'unknown', 'null'],
  ])('%j, ready %s: %s', (value, ready, verdict, words) => {
    expect(checksOf({ checks: { kafka: value } }, ready)).toEqual([{ name: 'kafka', verdict, words }]);
  });
  it.each([undefined, null, 'text', [], {}, { checks: 3 }])('%j has no checks', (body) =>
    expect(checksOf(body, true)).toBeNull(),
  );
});

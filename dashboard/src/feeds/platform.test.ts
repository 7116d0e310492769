import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { parts, sentence } from '../logic/parts';
import { Api } from './api';
import { Files } from './files';
import { Platform } from './platform';
import { Prometheus } from './prometheus';

/** What a person sees of a fault, by this page's own timers: whenever it begins, its sentence stands within 10 s. */
const WITHIN_MS = 10_000;
/** The page draws each second, and after each answer. */
const DRAWN_MS = 1_000;

/** What is behind the server of the page: where it hangs, that server gives up (proxy_read_timeout), or this page does. */
type Said = { status: number; body: unknown; after?: number } | 'refuses' | 'hangs';
const HEALTHY = { status: 'ok', checks: { kafka: 'ok', redis: 'ok' } };
const KAFKALESS = { status: 'unavailable', checks: { kafka: 'KafkaConnectionError', redis: 'ok' } };
const json = (body: unknown, status = 200): Said => ({ status, body });
let broken: [path: RegExp, said: Said][] = [];

function well(path: string): Said {
  if (path === '/replicas') return json({ replicas: ['app-1', 'app-2'] });
  if (path.endsWith('/health') || path.endsWith('/ready')) return json(HEALTHY);
  if (path.includes('/alerts')) return json({ status: 'success', data: { alerts: [] } });
  if (path.includes('/targets')) {
    const labels = { job: 'host', instance: 'node-exporter:9100' };
    return json({
      status: 'success',
      data: { activeTargets: [{ labels, health: 'up', scrapeUrl: 'http://x/metrics' }] },
    });
  }
  if (path.includes('/query')) return json({ status: 'success', data: { resultType: 'vector', result: [] } });
  return json({ time: '2026-11-20T12:00:00Z' });
}

async function answer(path: string, { signal }: RequestInit): Promise<Response> {
  const said = broken.find(([where]) => where.test(path))?.[1] ?? well(path);
  await new Promise((resolve) => setTimeout(resolve, (typeof said === 'object' && said.after) || 20));
  if (said === 'refuses') throw new TypeError('Failed to fetch');
  if (said === 'hangs')
    return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
  return new Response(typeof said.body === 'string' ? said.body : JSON.stringify(said.body), { status: said.status });
}

beforeEach(() => {
  broken = [];
  vi.useFakeTimers();
  vi.stubGlobal('document', { hidden: false, addEventListener: () => {}, removeEventListener: () => {} });
  vi.stubGlobal('sessionStorage', { getItem: () => 'a-token', setItem: () => {}, removeItem: () => {} });
  vi.stubGlobal('fetch', answer);
  // That of Node goes by a clock of its own.
  vi.spyOn(AbortSignal, 'timeout').mockImplementation((milliseconds) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new DOMException('too late', 'TimeoutError')), milliseconds);
    return controller.signal;
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const GONE = { status: 502, body: { code: 'replica-gone' } };
const CLOSED = { status: 502, body: { code: 'nginx-gone' } };
const EDGE = /^\/api\/v1/;
it.each<[fault: string, sentence: RegExp, broken: [RegExp, Said][]]>([
  ['a replica is gone', /app-2 does not answer/, [[/app-2/, GONE]]],
  ['a replica hangs', /app-2 does not answer/, [[/app-2/, { ...GONE, after: 4_000 }]]],
  ['Kafka answers no replica', /Kafka answers no replica/, [[/health/, json(KAFKALESS, 503)]]],
  ['NGINX is gone', /NGINX does not answer/, [[EDGE, CLOSED]]],
  [
    'NGINX hangs',
    /NGINX does not answer/,
    [
      [/ready/, { ...CLOSED, after: 4_000 }],
      [EDGE, 'hangs'],
    ],
  ],
  ['Prometheus is gone', /Prometheus does not answer, so alerts/, [[/prom/, json('<h1>502</h1>', 502)]]],
  ['Prometheus hangs', /Prometheus does not answer within 5 s, so alerts/, [[/prom/, 'hangs']]],
  ['the token has expired', /does not accept this page’s token/, [[/stats/, json({ title: 'Unauthorized' }, 401)]]],
  ['the API answers with a page', /answers with a page and not with JSON/, [[EDGE, json('<h1>It works!</h1>')]]],
  ['the server of the page is gone', /so nothing is known/, [[/./, 'refuses']]],
  ['the server of the page hangs', /nothing is known|not known|No replica answers/, [[/./, 'hangs']]],
])(
  '%s: the sentence says so within ten seconds, whenever it begins',
  async (_, wanted, fault) => {
    const late: number[] = [];
    for (let begins = 10_000; begins < 20_000; begins += 875) {
      broken = [];
      const platform = new Platform(new Api(), new Prometheus(), new Files());
      let drawn = '';
      const draw = (): void => void (drawn = sentence(parts(platform, Date.now())));
      const [ends, seconds] = [platform.changed(draw), setInterval(draw, DRAWN_MS)];
      platform.start();
      await vi.advanceTimersByTimeAsync(begins);
      expect(drawn).toBe('All is well.');
      broken = fault;
      await vi.advanceTimersByTimeAsync(WITHIN_MS);
      if (!wanted.test(drawn)) late.push(begins);
      ends();
      clearInterval(seconds);
      vi.clearAllTimers();
    }
    expect(late).toEqual([]);
  },
  30_000,
);

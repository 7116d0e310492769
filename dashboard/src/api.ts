import { number } from './format';

/** One request to the platform, and what to tell a person about it when it goes wrong. */

export interface Answer {
  status: number;
  replica: string | null;
  milliseconds: number;
  /** The parsed body; undefined when it wasn't JSON. */
  body: unknown;
}

export interface Failure {
  what: string;
  advice: string;
}

export type Outcome = { ok: true; answer: Answer } | { ok: false; failure: Failure; answer: Answer | null };

/** A health check that takes longer than this is as good as none: NGINX gives up on a replica in about this time. */
const TIMEOUT_MS = 5_000;

export async function request(path: string, init: RequestInit = {}): Promise<Outcome> {
  const start = performance.now();
  try {
    const response = await fetch(path, { ...init, cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
    const text = await response.text();
    const answer: Answer = {
      status: response.status,
      replica: response.headers.get('X-Replica'),
      milliseconds: performance.now() - start,
      body: parse(text),
    };
    if (response.ok && answer.body !== undefined) return { ok: true, answer };
    return { ok: false, answer, failure: explain(answer) };
  } catch (error) {
    const late = error instanceof DOMException && error.name === 'TimeoutError';
    return { ok: false, answer: null, failure: late ? TOO_LATE : NO_SERVER };
  }
}

const NO_SERVER: Failure = {
  what: 'The server of this page doesn’t answer.',
  advice: 'See whether the container performance-dashboard runs: ./sse status, then ./sse logs dashboard.',
};

const TOO_LATE: Failure = {
  what: `No answer within ${TIMEOUT_MS / 1000} s.`,
  advice:
    'See ./sse status and ./sse logs app. If many tabs of this page are open, close some: browsers allow six connections to one address.',
};

/** Says what an answer that isn't a success means, in the platform's own terms. */
export function explain(answer: Pick<Answer, 'status' | 'body'>): Failure {
  const problem = problemOf(answer.body);
  const what = problem ?? `The API answered HTTP ${answer.status}.`;
  switch (answer.status) {
    case 200:
      return {
        what: 'The answer isn’t JSON.',
        advice: 'Something other than the API answers at /api/v1/: check where this page’s server sends /api/.',
      };
    case 401:
    case 403:
      return { what, advice: 'Publishing needs permission here, and this page has none. Use a client with a token.' };
    case 404:
      return { what, advice: 'This version of the service doesn’t offer it, or /api/ isn’t sent to sse-nginx.' };
    case 413:
    case 422:
      return { what, advice: 'The service refused this event: its limits are set by SSE_MAX_… in its environment.' };
    case 429:
      return { what, advice: 'Too many requests: wait a little, then try again.' };
    case 500:
      return {
        what,
        advice: 'The service, or the proxy in front of it, failed. See ./sse logs app and ./sse logs nginx.',
      };
    case 502:
    case 504:
      return {
        what: `No replica answers behind the proxy (HTTP ${answer.status}).`,
        advice: 'See ./sse status, then ./sse logs nginx and ./sse logs app.',
      };
    case 503:
      return {
        what,
        advice: 'Part of the platform is down. The failing check is named here; ./sse status shows it too.',
      };
    default:
      return { what, advice: 'See ./sse status and ./sse logs app.' };
  }
}

/** RFC 9457: title and detail, where the body is a problem. */
function problemOf(body: unknown): string | null {
  if (!isRecord(body)) return null;
  const parts = [body['title'], body['detail']].filter((part) => typeof part === 'string' && part !== '');
  return parts.length > 0 ? parts.join(': ') : null;
}

export interface Check {
  name: string;
  verdict: 'ok' | 'failed' | 'off' | 'unknown';
  /** The service's own words, shown as they are. */
  words: string;
}

const GOOD = new Set(['ok', 'up', 'ready', 'healthy', 'true']);
const BAD = new Set(['unavailable', 'down', 'failed', 'error', 'unhealthy', 'false']);

/**
 * The checks of /health/ready; null when the body has none. A word this page doesn't know is an error's text where the
 * service says that it isn't ready; otherwise it is shown, not judged.
 */
export function checksOf(body: unknown, ready: boolean): Check[] | null {
  if (!isRecord(body) || !isRecord(body['checks'])) return null;
  return Object.entries(body['checks']).map(([name, value]) => {
    const status = isRecord(value) ? (value['status'] ?? value['state'] ?? value['ok']) : value;
    return { name, verdict: judge(String(status).toLowerCase(), ready), words: words(value) };
  });
}

function judge(status: string, ready: boolean): Check['verdict'] {
  if (GOOD.has(status)) return 'ok';
  if (status === 'disabled') return 'off';
  return BAD.has(status) || !ready ? 'failed' : 'unknown';
}

function words(value: unknown): string {
  if (!isRecord(value)) return typeof value === 'string' ? value : JSON.stringify(value);
  return Object.values(value)
    .filter((part) => part !== null && part !== '')
    .map(words)
    .join(', ');
}

/** Nested statistics as dotted names and values, at most `limit` of them. */
export function flatten(body: unknown, limit: number): [name: string, value: string][] {
  const rows: [string, string][] = [];
  const visit = (value: unknown, path: string): void => {
    if (rows.length >= limit) return;
    if (isRecord(value)) for (const [key, inner] of Object.entries(value)) visit(inner, path ? `${path}.${key}` : key);
    else rows.push([path, typeof value === 'number' ? number(value) : words(value)]);
  };
  visit(body, '');
  return rows;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

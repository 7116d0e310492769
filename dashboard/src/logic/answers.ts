import { type Failure, isRecord } from './result';

/** What an answer of the API means, and what to tell a person about it when it is no success. */

export interface Answer {
  status: number;
  replica: string | null;
  milliseconds: number;
  /** The parsed body; undefined when it wasn't JSON. */
  body: unknown;
}

export type Outcome = { ok: true; answer: Answer } | { ok: false; failure: Failure; answer: Answer | null };

/** The seconds within which an answer is worth waiting for: NGINX gives up on a replica in about this time. */
export const TIMEOUT_MS = 5_000;

export const NO_SERVER: Failure = {
  what: 'The server of this page does not answer.',
  advice: 'See whether the container performance-dashboard runs: ./sse status, then ./sse logs dashboard.',
};

/** The server of this page says so by a code of its own. */
export const NGINX_GONE: Failure = {
  what: 'NGINX does not answer: nobody outside reaches the platform.',
  advice: 'See ./sse status, then ./sse logs nginx.',
};

export const TOO_LATE: Failure = {
  what: `There was no answer within ${TIMEOUT_MS / 1000} s.`,
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
        what: 'The API answers with a page and not with JSON.',
        advice: 'Something other than the API answers at /api/v1/: check where this page’s server sends /api/.',
      };
    case 401:
      return {
        what: `The platform does not accept this page’s token: ${problem ?? 'HTTP 401'}.`,
        advice: 'Enter a valid token at the top of the page. docs/authorization.md says how to make one.',
      };
    case 403:
      return {
        what,
        advice: 'The token is valid, but it has no right to this. Enter another one at the top of the page.',
      };
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
      if (isRecord(answer.body) && answer.body['code'] === 'nginx-gone') return NGINX_GONE;
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

export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

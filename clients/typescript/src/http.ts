import { isLater, parsed, textOf } from './state.js';

/** Where the platform is, and who asks. */
export interface Access {
  /** The address of the platform; '' is the origin of this page. Requests go below `/api/v1`. */
  url?: string;
  /** A bearer token, or what makes one: it is asked for each attempt, so a token may be short-lived. */
  token?: string | (() => string | Promise<string>);
  headers?: Record<string, string>;
  /** For tests, proxies and runtimes without a global one. */
  fetch?: typeof fetch;
}

const ATTEMPT_MS = 15_000;

/** The service refuses for good: another attempt would not change that. */
export class RefusedError extends Error {
  override name = 'RefusedError';
  constructor(
    readonly status: number,
    detail: string,
  ) {
    super(`HTTP ${status}: ${detail || 'refused'}`);
  }
}

/** No answer in time: the events are stored or not. To be sure, publish the same events again with the same key. */
export class OutcomeUnknownError extends Error {
  override name = 'OutcomeUnknownError';
  constructor(readonly key: string) {
    super(`the outcome is not known: publish the same events again with the key ${key}`);
  }
}

export interface NewEvent {
  channel: string;
  /** Its name; "message" where there is none. */
  event?: string;
  data: unknown;
}

export interface PublishOptions extends Access {
  key?: string;
  /** How long attempts go on; 30 by default. */
  seconds?: number;
}

export interface KeptEvent {
  id: string;
  event: string;
  data: string;
  traceparent?: string;
  /** With `meta`. */
  channel?: string;
  time?: string;
}

export interface HistoryOptions extends Access {
  /** At most so many events, 1 to 1,000. */
  limit?: number;
  /** Only events before, or after, this id. */
  before?: string;
  after?: string;
  /** Tells channel and time of each event. */
  meta?: boolean;
}

export interface History {
  events: KeptEvent[];
  /** A stream with this `lastEventId` goes on right after this answer. */
  cursor?: string;
  /** The id that gives the page before this one, or after it. A page may be empty and not the last one. */
  before?: string;
  after?: string;
  /** The log cannot go on after the id that was asked for: these are the newest events. */
  gap?: { requested: string; reason: string };
}

export function address(access: Access, path: string): string {
  return `${(access.url ?? '').replace(/\/+$/, '')}/api/v1${path}`;
}

/** Sends a request with the credential and the headers of who asks, and with these. */
export async function send(
  access: Access,
  path: string,
  more: Record<string, string>,
  request: RequestInit,
): Promise<Response> {
  const token = typeof access.token === 'function' ? await access.token() : access.token;
  const headers = { ...access.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}), ...more };
  return (access.fetch ?? fetch)(address(access, path), { ...request, headers });
}

/** Retry-After in milliseconds: seconds or a date (RFC 9110, section 10.2.3); 0 where there is none. */
export function retryAfter(response: Response): number {
  const text = response.headers.get('Retry-After') ?? '';
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return wait > 0 ? wait : 0;
}

/** What a problem document says (RFC 9457); '' for anything else, such as a page. */
export async function detailOf(response: Response): Promise<string> {
  const body = parsed(await response.text().catch(() => ''));
  return textOf(body, 'detail') ?? textOf(body, 'title') ?? '';
}

/**
 * Publishes events, all or none; returns their ids once they are stored. A failed attempt is repeated with the same key,
 * so that the events are stored once.
 */
export async function publish(events: NewEvent | NewEvent[], options: PublishOptions = {}): Promise<string[]> {
  // `crypto.randomUUID` is missing on pages that come over plain HTTP.
  const key = options.key ?? crypto.getRandomValues(new Uint32Array(4)).join('-');
  // The service takes an empty key for none, and stores each attempt.
  if (!key) throw new TypeError('key: it is empty');
  const until = Date.now() + (options.seconds ?? 30) * 1000;
  const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': key };
  // What cannot be sent is a mistake of the caller, which no attempt changes: both throw it.
  new Headers(headers);
  const body = JSON.stringify(events);
  const unknown = new OutcomeUnknownError(key);
  let last: Error | undefined;
  for (let failures = 0; ; failures += 1) {
    let wait = 0;
    try {
      const signal = AbortSignal.timeout(Math.min(ATTEMPT_MS, until - Date.now()) | 0); // Node takes no fraction
      const response = await send(options, '/events', headers, { method: 'POST', body, signal });
      if (response.ok) {
        const found = parsed(await response.text()) as { ids?: unknown } | null | undefined;
        if (!Array.isArray(found?.ids)) throw foreign(response);
        return found.ids.map(String);
      }
      const refused = await refusedBy(response);
      if (!isLater(response.status)) throw refused;
      last = response.status === 429 ? (last ?? refused) : unknown; // 429: nothing was stored
      wait = retryAfter(response);
    } catch (error) {
      if (error instanceof RefusedError) throw error;
      last = unknown;
    }
    wait = Math.max(wait, Math.min(100 * 2 ** failures, 15_000) * (0.5 + Math.random() / 2));
    if (!(Date.now() + wait <= until)) throw last; // also where `seconds` is no number
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

async function refusedBy(response: Response): Promise<RefusedError> {
  return new RefusedError(response.status, await detailOf(response));
}

function foreign(response: Response): RefusedError {
  return new RefusedError(response.status, 'the answer is not of the service');
}

/** A query with what is given of these values, and not empty. */
export function withGiven(query: URLSearchParams, values: object): URLSearchParams {
  for (const [name, value] of Object.entries(values)) if (`${value ?? ''}`) query.set(name, `${value}`);
  return query;
}

/** Returns a page of what was published to a channel. */
export async function history(channel: string, options: HistoryOptions = {}): Promise<History> {
  const { limit, before, after, meta } = options;
  const query = withGiven(new URLSearchParams(), { limit, before, after, meta: meta ? 1 : '' });
  const path = `/channels/${encodeURIComponent(channel)}/history?${query}`;
  const response = await send(options, path, {}, { signal: AbortSignal.timeout(ATTEMPT_MS) });
  if (!response.ok) throw await refusedBy(response);
  const body = parsed(await response.text()) as History | undefined;
  if (!Array.isArray(body?.events)) throw foreign(response);
  return body;
}

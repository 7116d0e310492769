import { isLater, parsed, textOf, tried } from './state.js';

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

/**
 * The service refuses for good, or, with the status 0, nothing can be sent as it was asked for: another attempt would
 * not change that.
 */
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
  return `${(access.url ?? '').replace(/(\/api\/v1)?\/*$/, '')}/api/v1${path}`;
}

/** These headers, with the credential and the headers of who asks. */
export async function headersOf(access: Access, more: Record<string, string>): Promise<Record<string, string>> {
  const token = typeof access.token === 'function' ? await access.token() : access.token;
  return { ...access.headers, ...(token && { Authorization: `Bearer ${token}` }), ...more };
}

/** Sends a request. What nobody can send is no broken connection, although `fetch` fails alike. */
export async function send(access: Access, path: string, request: RequestInit): Promise<Response> {
  const url = address(access, path);
  try {
    return await (access.fetch ?? fetch)(url, request);
  } catch (error) {
    // The words of the error itself would show the token.
    if (!access.fetch && !tried(() => new Request(url, request)))
      throw new RefusedError(0, 'wrong address, token or header');
    throw error;
  }
}

/** Retry-After in milliseconds: seconds or a date (RFC 9110, section 10.2.3); 0 where there is none. */
export function retryAfter(response: Response): number {
  const text = response.headers.get('Retry-After') ?? '';
  const wait = Number(text) * 1000 || Date.parse(text) - Date.now();
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
  // The service takes an empty key for none, and stores each attempt. White space around a header is no part of it.
  if (!/^[!-~]+$/.test(key)) throw new TypeError('key: expected visible ASCII');
  const until = Date.now() + (options.seconds ?? 30) * 1000;
  const body = JSON.stringify(events);
  const unknown = new OutcomeUnknownError(key);
  let last: unknown;
  for (let failures = 0; ; failures += 1) {
    let wait = 0;
    let failed: unknown;
    try {
      const signal = AbortSignal.timeout(Math.min(ATTEMPT_MS, until - Date.now()) | 0); // Node takes no fraction
      const request = {
        method: 'POST',
        headers: await headersOf(options, { 'Content-Type': 'application/json', 'Idempotency-Key': key }),
        body,
        signal,
      };
      failed = unknown;
      const response = await send(options, '/events', request);
      if (!isLater(response.status)) return (await bodyOf<{ ids: unknown[] }>(response, 'ids')).ids.map(String);
      last = response.status === 429 ? (last ?? (await refusedBy(response))) : unknown; // 429: nothing was stored
      wait = retryAfter(response);
    } catch (error) {
      if (error instanceof RefusedError) throw error;
      last = failed ?? last ?? error; // what failed before anything was sent, such as a token that nobody gave
    }
    wait = Math.max(wait, Math.min(100 * 2 ** failures, 15_000) * (0.5 + Math.random() / 2));
    if (!(Date.now() + wait <= until)) throw last; // also where `seconds` is no number
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

async function refusedBy(response: Response): Promise<RefusedError> {
  return new RefusedError(response.status, await detailOf(response));
}

/** The document of an answer, which has a list of this name. */
async function bodyOf<Body>(response: Response, list: keyof Body): Promise<Body> {
  if (!response.ok) throw await refusedBy(response);
  const body = parsed(await response.text()) as Body | undefined;
  if (!Array.isArray(body?.[list])) throw new RefusedError(response.status, 'the answer is not of the service');
  return body;
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
  const request = { headers: await headersOf(options, {}), signal: AbortSignal.timeout(ATTEMPT_MS) };
  return bodyOf<History>(await send(options, path, request), 'events');
}

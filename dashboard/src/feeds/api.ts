import { type Answer, explain, NO_SERVER, type Outcome, parse, TIMEOUT_MS, TOO_LATE } from '../logic/answers';
import { heard } from '../logic/moment';

export type { Answer, Check, Outcome } from '../logic/answers';
export type { Failure, Result } from '../logic/result';

const KEY = 'token';
const AGAIN_MS = 300;

/** Requests to the service under /api/, with the token that a person entered; it is kept as long as the tab lives. */
export class Api {
  private kept = '';
  private readonly handlers = new Set<() => void>();

  constructor() {
    try {
      this.kept = sessionStorage.getItem(KEY) ?? '';
    } catch {
      // Storage is switched off: the token lasts as long as the page.
    }
  }

  /** The bearer token, or ''. */
  get token(): string {
    return this.kept;
  }

  set token(text: string) {
    const token = text.trim();
    if (token === this.kept) return;
    this.kept = token;
    try {
      if (token === '') sessionStorage.removeItem(KEY);
      else sessionStorage.setItem(KEY, token);
    } catch {
      // As above.
    }
    for (const handler of this.handlers) handler();
  }

  /** Calls `handler` when the token becomes another one; returns what ends that. */
  onToken(handler: () => void): () => void {
    this.handlers.add(handler);
    return () => void this.handlers.delete(handler);
  }

  headers(): Record<string, string> {
    return this.kept === '' ? {} : { Authorization: `Bearer ${this.kept}` };
  }

  /** Never throws: what went wrong is in the outcome, in words. `path` begins with /api/v1/. */
  async request(path: string, init: RequestInit = {}): Promise<Outcome> {
    return request(path, { ...init, headers: { ...this.headers(), ...(init.headers as Record<string, string>) } });
  }
}

/** One request to the origin of this page. */
export async function request(path: string, init: RequestInit = {}, again = true): Promise<Outcome> {
  const [start, sent] = [performance.now(), Date.now()];
  try {
    const signal = init.signal ?? AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(path, { ...init, cache: 'no-store', signal });
    heard(response.headers.get('Date'), sent, Date.now());
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
    // The network of this machine came or went: a question that changes nothing is asked once more.
    const once = again && !(error instanceof DOMException) && (init.method ?? 'GET') === 'GET';
    if (once) return new Promise((resolve) => setTimeout(() => resolve(request(path, init, false)), AGAIN_MS));
    const late = error instanceof DOMException && error.name === 'TimeoutError';
    return { ok: false, answer: null, failure: late ? TOO_LATE : NO_SERVER };
  }
}

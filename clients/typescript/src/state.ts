import type { Block } from './parser.js';

/**
 * The life of one stream, as a pure function: what was known, what happened, what is known now.
 * connecting -> open (the first cursor or event arrived) -> waiting -> connecting ...; refused is final until somebody asks again.
 */
export interface StreamState {
  phase: 'connecting' | 'open' | 'waiting' | 'refused' | 'closed';
  /** When this phase began; times are milliseconds of the page's own clock. */
  since: number;
  /** X-Replica of the current or last stream, null where nobody said. */
  replica: string | null;
  /** The last id heard: a reconnect asks for what came after it. */
  cursor: string | null;
  /** Reconnection time the server asked for. */
  retryMs: number;
  /** Wait before the next attempt; only meaningful while waiting. */
  delayMs: number;
  /** Attempts in a row that never opened. */
  failures: number;
  opened: number;
  gaps: number;
  byes: number;
  /** Why the last stream ended, in words; null while nothing ended. */
  reason: string | null;
  /** Where the present stream got what it had missed, `ring`, `redis` or `log`, or `new`; null without `meta`. */
  source: string | null;
  /** When anything at all last came over the stream, heartbeats included. */
  heardAt: number | null;
}

export interface Answer {
  status: number;
  contentType: string;
  replica: string | null;
  /** Retry-After in milliseconds; 0 where there is none. */
  retryAfterMs: number;
  /** What the body says of the refusal (RFC 9457), or ''. */
  detail: string;
}

export type Signal =
  | { type: 'attempt'; at: number }
  | ({ type: 'answer'; at: number } & Answer)
  | { type: 'heard'; at: number }
  | { type: 'retry'; milliseconds: number }
  | { type: 'block'; at: number; block: Block }
  | { type: 'ended'; at: number; reason: string }
  | { type: 'refused'; at: number; reason: string }
  | { type: 'closed'; at: number };

/** Whether a status means "later". What cannot reach the service has numbers of its own, such as 522 and 524. */
export function isLater(status: number): boolean {
  return status >= 500 || [408, 425, 429].includes(status);
}

/** Used until the server says otherwise; browsers use 2-5 s. */
const DEFAULT_RETRY_MS = 2_000;
/** A server that says `retry: 0` and ends each stream is not asked without a pause. */
const SHORTEST_RETRY_MS = 100;
/** A server that is gone is asked at least this often, so that the page comes back soon after it does. */
const LONGEST_DELAY_MS = 15_000;
/** No Retry-After and no `retry` makes a client wait longer: a timer of more than 24 days would end at once. */
const LONGEST_RETRY_MS = 300_000;

export function initialState(at: number, cursor: string | null = null): StreamState {
  return {
    phase: 'connecting',
    since: at,
    replica: null,
    cursor,
    retryMs: DEFAULT_RETRY_MS,
    delayMs: 0,
    failures: 0,
    opened: 0,
    gaps: 0,
    byes: 0,
    reason: null,
    source: null,
    heardAt: null,
  };
}

export function advance(state: StreamState, signal: Signal): StreamState {
  if (state.phase === 'closed') return state;
  switch (signal.type) {
    case 'attempt':
      return { ...state, phase: 'connecting', since: signal.at, source: null };
    case 'answer':
      return answered(state, signal.at, signal);
    case 'heard':
      return { ...state, heardAt: signal.at };
    case 'retry':
      return { ...state, retryMs: signal.milliseconds };
    case 'block':
      return received(state, signal.at, signal.block);
    case 'ended':
      return ended(state, signal.at, signal.reason, 0);
    default: {
      const { type: phase, at: since, ...reason } = signal;
      return { ...state, phase, since, ...reason };
    }
  }
}

/** The type of a stream, whatever its parameters and the case of its letters (WHATWG HTML, section 9.2.2). */
function isStream(contentType: string): boolean {
  return /^\s*text\/event-stream\s*(;|$)/i.test(contentType);
}

function answered(state: StreamState, at: number, answer: Answer): StreamState {
  const { status, contentType, replica, retryAfterMs, detail } = answer;
  if (status === 200 && isStream(contentType)) return { ...state, replica, heardAt: at };
  const said = status < 300 ? `${contentType || 'no type'}, not text/event-stream` : detail;
  const reason = `HTTP ${status}` + (said && `: ${said}`);
  if (!isLater(status)) return { ...state, phase: 'refused', since: at, replica, reason };
  return ended({ ...state, replica }, at, reason, retryAfterMs);
}

function received(state: StreamState, at: number, block: Block): StreamState {
  const next: StreamState = { ...state, heardAt: at, cursor: block.id === null ? state.cursor : block.id || null };
  const name = block.data === null ? '' : block.event;
  const said = (what: string): string | null => textOf(parsed(block.data), what);
  if (name === 'gap') next.gaps += 1;
  if (name === 'cursor') next.source = said('source') ?? state.source;
  if (name === 'bye') {
    next.byes += 1;
    next.reason = `the server said goodbye (${said('reason')})`;
  } else if (state.phase !== 'open') next.reason = null;
  if (state.phase === 'open') return next;
  return { ...next, phase: 'open', since: at, opened: state.opened + 1, failures: 0 };
}

function ended(state: StreamState, at: number, reason: string, atLeastMs: number): StreamState {
  if (state.phase === 'waiting' || state.phase === 'refused') return state;
  const opened = state.phase === 'open';
  const failures = opened ? 0 : state.failures + 1;
  const least = Math.max(state.retryMs, SHORTEST_RETRY_MS);
  const backoff = least * 2 ** (failures - 1);
  return {
    ...state,
    phase: 'waiting',
    since: at,
    failures,
    reason: (opened && state.reason) || reason,
    delayMs: Math.min(Math.max(least, Math.min(backoff, LONGEST_DELAY_MS), atLeastMs), LONGEST_RETRY_MS),
  };
}

/** A member of a JSON object that is a text; null where there is none. */
export function textOf(value: unknown, name: string): string | null {
  const found = (value as Record<string, unknown> | null | undefined)?.[name];
  return typeof found === 'string' ? found : null;
}

/** The value of a JSON text; undefined where it is none. */
export function parsed(text: string | null): unknown {
  return tried(() => JSON.parse(text ?? '') as unknown);
}

/** What a function returns; undefined where it fails. */
export function tried<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

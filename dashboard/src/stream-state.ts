import type { Block } from './sse-parser';

/**
 * The life of one stream, as a pure function: what was known, what happened, what is known now.
 * connecting -> open (the first cursor or event arrived) -> waiting -> connecting ...; refused is final until somebody asks again.
 */
export interface StreamState {
  phase: 'connecting' | 'open' | 'waiting' | 'refused';
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
  /** When anything at all last came over the stream, heartbeats included. */
  heardAt: number | null;
}

export type Signal =
  | { type: 'attempt'; at: number }
  | { type: 'answer'; at: number; status: number; contentType: string; replica: string | null }
  | { type: 'heard'; at: number }
  | { type: 'retry'; milliseconds: number }
  | { type: 'block'; at: number; block: Block }
  | { type: 'ended'; at: number; reason: string };

/** Used until the server says otherwise; browsers use 2-5 s. */
const DEFAULT_RETRY_MS = 2_000;
/** A server that is gone is asked at least this often, so that the page comes back soon after it does. */
const LONGEST_DELAY_MS = 15_000;

export function initialState(at: number): StreamState {
  return {
    phase: 'connecting',
    since: at,
    replica: null,
    cursor: null,
    retryMs: DEFAULT_RETRY_MS,
    delayMs: 0,
    failures: 0,
    opened: 0,
    gaps: 0,
    byes: 0,
    reason: null,
    heardAt: null,
  };
}

export function reconnects(state: StreamState): number {
  return Math.max(0, state.opened - 1);
}

export function advance(state: StreamState, signal: Signal): StreamState {
  switch (signal.type) {
    case 'attempt':
      return { ...state, phase: 'connecting', since: signal.at };
    case 'answer':
      return answered(state, signal);
    case 'heard':
      return { ...state, heardAt: signal.at };
    case 'retry':
      return { ...state, retryMs: signal.milliseconds };
    case 'block':
      return received(state, signal.at, signal.block);
    case 'ended':
      return ended(state, signal.at, signal.reason);
  }
}

function answered(state: StreamState, answer: Extract<Signal, { type: 'answer' }>): StreamState {
  const { at, status, contentType, replica } = answer;
  if (status === 200 && contentType.startsWith('text/event-stream')) return { ...state, replica, heardAt: at };
  const reason =
    status === 200 ? `the answer is ${contentType || 'of no type'}, not text/event-stream` : `HTTP ${status}`;
  // 408, 425 and 429 mean "later"; every other 4xx means that asking the same again is pointless.
  const final = status === 200 || (status >= 400 && status < 500 && ![408, 425, 429].includes(status));
  return final ? { ...state, phase: 'refused', since: at, replica, reason } : ended({ ...state, replica }, at, reason);
}

function received(state: StreamState, at: number, block: Block): StreamState {
  const next: StreamState = { ...state, heardAt: at, cursor: block.id === null ? state.cursor : block.id || null };
  if (block.data !== null && block.event === 'gap') next.gaps += 1;
  if (block.data !== null && block.event === 'bye') {
    next.byes += 1;
    next.reason = `the server said goodbye (${reasonOf(block.data) ?? 'no reason given'})`;
  } else if (state.phase !== 'open') next.reason = null;
  if (state.phase === 'open') return next;
  return { ...next, phase: 'open', since: at, opened: state.opened + 1, failures: 0 };
}

function ended(state: StreamState, at: number, reason: string): StreamState {
  if (state.phase === 'waiting' || state.phase === 'refused') return state;
  const opened = state.phase === 'open';
  const failures = opened ? 0 : state.failures + 1;
  const backoff = state.retryMs * 2 ** Math.min(Math.max(0, failures - 1), 6);
  return {
    ...state,
    phase: 'waiting',
    since: at,
    failures,
    reason: opened && state.reason !== null ? state.reason : reason,
    delayMs: Math.max(state.retryMs, Math.min(backoff, LONGEST_DELAY_MS)),
  };
}

/** The reason member of a gap's or bye's data. */
export function reasonOf(data: string): string | null {
  try {
    const value: unknown = JSON.parse(data);
    if (typeof value === 'object' && value !== null && 'reason' in value && typeof value.reason === 'string') {
      return value.reason;
    }
  } catch {
    // Not JSON: there is no reason to show, and the raw data is in the table anyway.
  }
  return null;
}

import { now } from './moment';

/** What a question brought: a value and when it was had, or why there is none. */
export type Result<T> =
  | { ok: true; value: T; /** When, in milliseconds since 1970. */ at: number }
  | { ok: false; failure: Failure; /** The HTTP status; null where nothing answered. */ status: number | null };

/** What is wrong, and what a person can do about it: one full sentence each. */
export interface Failure {
  what: string;
  advice: string;
}

/** What is known of a value that is asked for again and again. */
export interface Seen<T> {
  /** The last one that was had; null while there was none. */
  value: T | null;
  /** When the value was had, in milliseconds since 1970. */
  at: number | null;
  /** Why the last question brought nothing; null when it brought the value. */
  failure: Failure | null;
  /** The HTTP status of the last answer; null where nothing answered. */
  status: number | null;
  /** False until the first answer. */
  asked: boolean;
}

export function good<T>(value: T, at = now()): Result<T> {
  return { ok: true, value, at };
}

export function bad(what: string, advice: string, status: number | null = null): Result<never> {
  return { ok: false, failure: { what, advice }, status };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

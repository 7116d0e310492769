import type { Check, Outcome } from './api';
import { counted, number } from './format';
import type { StreamState } from 'sse-platform-client';

/** What is known, in one sentence and one more. */
export interface Headline {
  text: string;
  more: string;
}

export function headline(
  stream: StreamState,
  health: Outcome | null,
  checks: readonly Check[] | null,
  rate: number | null,
  now: number,
): Headline {
  return { text: sentence(stream, health, checks, rate, now), more: details(stream, health, checks) };
}

function sentence(
  stream: StreamState,
  health: Outcome | null,
  checks: readonly Check[] | null,
  rate: number | null,
  now: number,
): string {
  if (stream.phase === 'refused') return 'The stream is refused.';
  if (stream.phase !== 'open' && stream.opened === 0) {
    return stream.failures === 0 ? 'Looking…' : `No stream yet. ${next(stream, now)}`;
  }
  if (stream.phase !== 'open') return `The stream is cut. ${next(stream, now)}`;
  if (health === null) return 'The stream is open.';
  const failing = checks?.filter((check) => check.verdict === 'failed').map((check) => check.name) ?? [];
  if (failing.length > 0) return `Live, but not ${failing.join(', ')}.`;
  if (!health.ok) return 'Live, but the API isn’t healthy.';
  if (rate === null || rate === 0) return 'Everything answers. All quiet.';
  return `Everything answers. ${number(rate)} events a second.`;
}

function next(stream: StreamState, now: number): string {
  if (stream.phase === 'connecting') return 'Trying now.';
  const seconds = Math.max(1, Math.ceil((stream.since + stream.delayMs - now) / 1000));
  return `Trying again in ${seconds} s.`;
}

function details(stream: StreamState, health: Outcome | null, checks: readonly Check[] | null): string {
  const parts: string[] = [];
  if (stream.phase === 'open') {
    parts.push(
      stream.replica === null ? 'The stream is open; its replica isn’t named' : `Streaming from ${stream.replica}`,
    );
  } else if (stream.reason !== null) parts.push(`Stream: ${stream.reason}`);
  else parts.push('Asking the API and opening the stream');
  if (checks !== null && checks.length > 0) {
    const on = checks.filter((check) => check.verdict !== 'off');
    parts.push(`${on.filter((check) => check.verdict === 'ok').length} of ${counted(on.length, 'check')} passed`);
    for (const check of checks) if (check.verdict === 'off') parts.push(`${check.name} is switched off`);
  } else if (health !== null && !health.ok) parts.push(health.failure.what.replace(/\.$/, ''));
  return `${parts.join('. ')}.`;
}

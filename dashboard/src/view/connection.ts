import type { Check, Outcome } from '../api';
import { age, counted } from '../format';
import { reconnects, type StreamState } from 'sse-platform-client';
import { element, show } from './dom';

const WORDS: Record<StreamState['phase'], string> = {
  connecting: 'connecting',
  open: 'live',
  waiting: 'disconnected',
  refused: 'refused',
  closed: 'closed',
};

export function drawConnection(stream: StreamState, now: number): void {
  const pill = element('pill');
  pill.dataset['phase'] = stream.phase;
  show('pill-text', WORDS[stream.phase]);

  const open = stream.phase === 'open';
  const [value, unit] = open ? age(now - stream.since) : [WORDS[stream.phase], ''];
  show('stream-age', value);
  show('stream-age-unit', open ? `${unit} open` : '');
  show('stream-note', streamNote(stream, now));

  const count = reconnects(stream);
  show('reconnects', String(count));
  show('reconnects-unit', count === 1 ? 'reconnect' : 'reconnects');
  show(
    'breaks-note',
    `${stream.gaps === 0 ? 'no gap' : counted(stream.gaps, 'gap')}, ${stream.byes === 0 ? 'no goodbye' : counted(stream.byes, 'goodbye')}`,
  );
}

function streamNote(stream: StreamState, now: number): string {
  if (stream.phase !== 'open') return stream.reason ?? 'not open yet';
  const from = stream.replica === null ? 'replica not named' : `from ${stream.replica}`;
  return stream.heardAt === null
    ? from
    : `${from}, heard ${age(now - stream.heardAt)[0]} ${age(now - stream.heardAt)[1]} ago`;
}

/** The one thing that most needs a person, with what to do about it; hidden while there is none. */
export function drawTrouble(stream: StreamState, health: Outcome | null, checks: readonly Check[]): void {
  const [what, advice] = trouble(stream, health, checks);
  element('trouble').hidden = what === '';
  show('trouble-what', what);
  show('trouble-advice', advice);
  element('retry').hidden = stream.phase === 'open';
}

function trouble(
  stream: StreamState,
  health: Outcome | null,
  checks: readonly Check[],
): [what: string, advice: string] {
  if (stream.phase === 'refused' && ['HTTP 401', 'HTTP 403'].includes(stream.reason ?? '')) {
    return [
      `The stream is refused: ${stream.reason}.`,
      'Authorization is on (app_auth), and this page holds no credential. Use a client with a key or a token: docs/authorization.md.',
    ];
  }
  if (stream.phase === 'refused') {
    return [
      `The stream is refused: ${stream.reason ?? 'no reason given'}.`,
      'It isn’t asked again by itself. Check that /api/ leads to sse-nginx and that this page may subscribe, then try again.',
    ];
  }
  const failed = checks.find((check) => check.verdict === 'failed');
  if (failed) return [`${failed.name}: ${failed.words}.`, `See ./sse status, then ./sse logs ${failed.name}.`];
  if (health !== null && !health.ok) return [health.failure.what, health.failure.advice];
  if (stream.phase === 'waiting' && stream.failures > 0) {
    return [
      `No stream: ${stream.reason ?? 'no reason given'}.`,
      'The API answers, its stream doesn’t: see ./sse logs nginx and ./sse logs app.',
    ];
  }
  return ['', ''];
}

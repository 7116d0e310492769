import { checksOf, type Outcome } from './answers';
import { counted, length, listed, number } from './format';
import type { Alert, Target } from './promjson';
import { type Failure, isRecord, type Seen } from './result';

/** The state of the platform: that of its worst part. Nothing here is good only because nobody said otherwise. */

export type State = 'good' | 'unknown' | 'warning' | 'bad';

/** A part of the platform, what is known of it, and from where. */
export interface Part {
  name: string;
  state: State;
  /** One full sentence. */
  words: string;
  /** What to do; '' where nothing is to be done. */
  advice: string;
  source: string;
  /** When that was known, in milliseconds since 1970. */
  at: number | null;
  /** Whether a part that is named anyway is the reason: then this one comes after it, and is not counted again. */
  follows?: boolean;
}

/** One replica's own answer about its health. */
export interface ReplicaHealth {
  name: string;
  state: State;
  /** Its own words or what is wrong, without a full stop. */
  words: string;
  checks: Record<string, string>;
  milliseconds: number | null;
}

export interface Facts {
  /** From each replica directly; its list is null where this page does not know which replicas there are. */
  replicas: Seen<ReplicaHealth[]>;
  /** /api/v1/health/ready through NGINX: whoever answered. */
  edge: Seen<Outcome>;
  /** /api/v1/stats with the token of this page. */
  access: Seen<Outcome>;
  /** Whether this page sends a token. */
  readonly held: boolean;
  /** How far the clock of this computer is ahead of that of the platform, in milliseconds; 0 where they agree. */
  readonly ahead: number;
  alerts: Seen<Alert[]>;
  targets: Seen<Target[]>;
}

/** After so long without an answer, what was known is not shown as known any more. */
export const STALE_MS = 15_000;
/** Where an answer was late, what was known counts so long. */
const LATE_MS = 8_000;

const RANK: Record<State, number> = { bad: 3, warning: 2, unknown: 1, good: 0 };

/** The health of one replica by its answer. */
export function replicaHealth(name: string, outcome: Outcome): ReplicaHealth {
  const milliseconds = outcome.answer?.milliseconds ?? null;
  const found = outcome.answer === null ? null : checksOf(outcome.answer.body, outcome.ok);
  const checks = Object.fromEntries((found ?? []).map((check) => [check.name, check.words]));
  if (found === null || outcome.answer === null)
    return { name, state: 'bad', words: 'does not answer', checks, milliseconds: null };
  if (outcome.ok) return { name, state: 'good', words: 'answers', checks, milliseconds };
  const draining = (outcome.answer.body as { status?: unknown }).status === 'draining';
  const failed = found.filter((check) => check.verdict === 'failed').map((check) => check.name);
  const words = draining ? 'is stopping' : `is not ready${failed.length > 0 ? `: ${listed(failed)}` : ''}`;
  return { name, state: draining ? 'warning' : 'bad', words, checks, milliseconds };
}

/** All parts, the worst first; of the same state in the order in which one would look. */
export function parts(facts: Facts, now: number): Part[] {
  const gone = serverGone(facts);
  const kafka = dataPart('Kafka', 'kafka', 'bad', 'Publishing is refused, and streams get nothing new.', facts, now);
  const all =
    gone !== null
      ? [gone]
      : [
          replicasPart(facts.replicas, now, kafka.state === 'bad'),
          kafka,
          dataPart('Redis', 'redis', 'warning', 'Streams go on; long resumes read the log instead.', facts, now),
          edgePart(facts.edge, facts.replicas, now),
          accessPart(facts.access, facts.held, now),
          pausedPart(facts, now),
          prometheusPart(facts.alerts, now),
          ...alertParts(facts.alerts, now),
          targetsPart(facts, now),
          clockPart(facts.ahead),
        ];
  const known = all.filter((part) => part !== null);
  return known
    .map((part, index) => ({ part, index }))
    .sort(
      (left, right) =>
        RANK[right.part.state] - RANK[left.part.state] ||
        Number(left.part.follows ?? false) - Number(right.part.follows ?? false) ||
        left.index - right.index,
    )
    .map(({ part }) => part);
}

export function worst(all: readonly { state: State }[]): State {
  return all.reduce<State>((most, { state }) => (RANK[state] > RANK[most] ? state : most), 'good');
}

/** The sentence of the worst part, and how many others need a look. */
export function sentence(all: readonly Part[]): string {
  const [first] = all;
  if (first === undefined) return 'Looking…';
  if (first.state === 'good') return 'All is well.';
  const others = all.slice(1).filter((part) => part.state === first.state && part.follows !== true).length;
  return others === 0
    ? first.words
    : `${first.words.replace(/\.$/, '')}, and ${counted(others, 'more thing')} to look at.`;
}

/** Whether nothing has been asked long enough to know anything. */
export function looking(facts: Facts): boolean {
  return !facts.edge.asked || !facts.replicas.asked;
}

/** The server of this page gave no HTTP answer to anything: then nothing is known of the platform. */
function serverGone({ edge, replicas, alerts }: Facts): Part | null {
  const seen = [edge, replicas, alerts].filter((one) => one.asked);
  if (seen.length === 0 || seen.some((one) => one.failure === null || one.status !== null)) return null;
  return {
    name: 'This page',
    state: 'bad',
    words: 'The server of this page does not answer, so nothing is known.',
    advice: 'See whether the container performance-dashboard runs: ./sse status, then ./sse logs dashboard.',
    source: 'this browser',
    at: edge.at,
  };
}

/** What is known of a value that is too old, or that was never had; null where it is fresh. */
function missing(name: string, what: string, seen: Seen<unknown>, source: string, now: number): Part | null {
  if (seen.failure !== null && (seen.at === null || now - seen.at > STALE_MS))
    return part(name, 'unknown', `${what} not known: ${lower(seen.failure)}`, seen.failure.advice, source, seen.at);
  if (seen.at === null) return part(name, 'unknown', `${what} not known yet.`, '', source, null);
  if (now - seen.at > STALE_MS)
    return part(
      name,
      'unknown',
      `${what} not known since ${length(now - seen.at)}.`,
      'Is this tab asleep?',
      source,
      seen.at,
    );
  return null;
}

function part(name: string, state: State, words: string, advice: string, source: string, at: number | null): Part {
  return { name, state, words, advice, source, at };
}

/** @param explained whether a part that they all need is broken, and says so itself */
function replicasPart(seen: Seen<ReplicaHealth[]>, now: number, explained: boolean): Part {
  const source = 'each replica, asked directly';
  const none = missing('Replicas', 'The state of the replicas is', seen, source, now);
  if (none !== null || seen.value === null) return none ?? part('Replicas', 'unknown', 'Not known.', '', source, null);
  const all = seen.value;
  const silent = all.filter((one) => one.words === 'does not answer').map((one) => one.name);
  const stopping = all.filter((one) => one.state === 'warning').map((one) => one.name);
  const ready = all.filter((one) => one.state === 'good').length;
  const count = `${ready} of ${counted(all.length, 'replica')} ${ready === 1 ? 'is' : 'are'} ready`;
  if (silent.length > 0) {
    const who = `${listed(silent)} ${verb(silent, 'does', 'do')} not answer`;
    const words = silent.length === all.length ? 'No replica answers.' : `${who}: ${count}.`;
    return part('Replicas', 'bad', words, `See ./sse status, then ./sse logs ${silent[0]}.`, source, seen.at);
  }
  if (ready === 0) {
    const words = 'No replica is ready, so nobody can publish or open a stream.';
    const advice = 'Each says why: see ./sse status, then ./sse logs app.';
    return { ...part('Replicas', 'bad', words, advice, source, seen.at), follows: explained };
  }
  if (stopping.length > 0) {
    const words = `${listed(stopping)} ${verb(stopping, 'is', 'are')} stopping; its streams go on at the others.`;
    return part('Replicas', 'warning', words, '', source, seen.at);
  }
  if (ready < all.length) {
    const advice = 'The part that they miss is named here, too.';
    return part('Replicas', 'warning', `${count}: each says what it misses.`, advice, source, seen.at);
  }
  return part('Replicas', 'good', `${count}.`, '', source, seen.at);
}

/** A service that the replicas use, as they see it themselves. */
function dataPart(name: string, check: string, state: State, effect: string, facts: Facts, now: number): Part {
  const source = 'the health checks of the replicas';
  const seen = facts.replicas;
  const answered =
    seen.value !== null && (seen.at === null || now - seen.at <= STALE_MS)
      ? seen.value.filter((one) => one.checks[check] !== undefined)
      : [];
  const own = facts.edge.value?.answer ?? null;
  const through = answered.length === 0 && own !== null ? checksOf(own.body, facts.edge.value?.ok ?? false) : null;
  const words = [
    ...answered.map((one) => ({ who: one.name, words: one.checks[check] ?? '' })),
    ...(through ?? [])
      .filter((one) => one.name === check)
      .map((one) => ({ who: own?.replica ?? 'a replica', words: one.words })),
  ];
  if (words.length === 0)
    return part(name, 'unknown', `The state of ${name} is not known: no replica says it.`, '', source, null);
  const without = words.filter((one) => !['ok', 'disabled', 'catching up'].includes(one.words));
  if (without.length === 0) return part(name, 'good', `${name} answers.`, '', source, seen.at);
  const whom = without.length === words.length && words.length > 1 ? 'no replica' : null;
  const said =
    whom === null ? `${name} does not answer ${listed(without.map((one) => one.who))}.` : `${name} answers ${whom}.`;
  return part(name, state, said, `${effect} See ./sse status, then ./sse logs ${check}.`, source, seen.at);
}

/** Whether NGINX of the platform passes requests on: a replica that is not ready answers, too. */
export function passesOn(outcome: Outcome | null): boolean {
  if (outcome === null || outcome.ok) return outcome !== null;
  return outcome.answer !== null && checksOf(outcome.answer.body, false) !== null;
}

const LOGS = 'See ./sse status, then ./sse logs nginx.';

/** Whether NGINX of the platform answers in place of a replica, as it does where none answered it. */
function ownAnswer(outcome: Outcome): boolean {
  const { answer } = outcome;
  return answer?.status === 503 && answer.replica === null && isRecord(answer.body) && 'request_id' in answer.body;
}

function edgePart(seen: Seen<Outcome>, replicas: Seen<ReplicaHealth[]>, now: number): Part {
  const source = '/api/v1/health/ready, through NGINX';
  const none = missing('NGINX', 'Whether NGINX answers is', seen, source, now);
  if (none !== null || seen.value === null) return none ?? part('NGINX', 'unknown', 'Not known.', '', source, null);
  if (seen.value.ok)
    return part('NGINX', 'good', 'NGINX answers, and passes requests to a replica.', '', source, seen.at);
  // The replicas' own checks tell more about this, so it is no finding about NGINX.
  if (passesOn(seen.value))
    return part('NGINX', 'good', 'NGINX answers; the replica behind it is not ready.', '', source, seen.at);
  const all = replicas.value ?? [];
  if (ownAnswer(seen.value) && all.length > 0 && holds(replicas, now)) {
    const silent = all.every((one) => one.words === 'does not answer');
    return silent
      ? part('NGINX', 'good', 'NGINX answers; no replica behind it does.', '', source, seen.at)
      : part('NGINX', 'bad', 'NGINX reaches no replica, though they answer this page.', LOGS, source, seen.at);
  }
  const words = `${seen.value.failure.what.replace(/\.$/, '')}.`;
  return part('NGINX', 'bad', words, seen.value.failure.advice, source, seen.at);
}

function accessPart(seen: Seen<Outcome>, held: boolean, now: number): Part | null {
  const source = '/api/v1/stats, with the token of this page';
  const outcome = seen.value;
  if (outcome === null || outcome.ok || seen.at === null || now - seen.at > STALE_MS) return null;
  const status = outcome.answer?.status;
  if (status !== 401 && status !== 403) return null;
  if (!held) {
    // The platform works as it should; only this page sees less of it.
    const words = 'This page sends no token, so it sees neither events nor statistics.';
    return part('Token', 'good', words, 'Enter one at the top of the page.', source, seen.at);
  }
  return part('Token', 'warning', outcome.failure.what, outcome.failure.advice, source, seen.at);
}

function pausedPart({ replicas }: Facts, now: number): Part | null {
  if (!holds(replicas, now)) return null; // what was once said is not known any more, and replicasPart says that
  const paused = (replicas.value ?? []).filter((one) => one.checks['publishing'] === 'paused');
  if (paused.length === 0) return null;
  return part('Publishing', 'warning', 'Publishing is paused.', '', 'the health checks of the replicas', replicas.at);
}

function prometheusPart(seen: Seen<Alert[]>, now: number): Part {
  const source = 'Prometheus';
  if (seen.status === 404)
    return part(
      'Prometheus',
      'unknown',
      'This page reaches no Prometheus, so alerts and graphs are not known.',
      '',
      source,
      null,
    );
  if (seen.failure !== null && !holds(seen, now))
    return part(
      'Prometheus',
      'bad',
      `${seen.failure.what.replace(/\.$/, '')}, so alerts and graphs are not known.`,
      seen.failure.advice,
      source,
      seen.at,
    );
  const none = missing('Prometheus', 'The alerts are', seen, source, now);
  return none ?? part('Prometheus', 'good', 'Prometheus answers.', '', source, seen.at);
}

/** Whether a value counts as known: one late answer on a busy machine is no fault, and a second one is. */
export function holds(seen: Seen<unknown>, now: number): boolean {
  return seen.failure === null || (seen.status === null && seen.at !== null && now - seen.at < LATE_MS);
}

/** Alerts that fire, without the one that always does to show that alerts work. */
export function firing(alerts: readonly Alert[]): Alert[] {
  return alerts.filter(
    (one) =>
      one.state === 'firing' && one.name !== 'Watchdog' && !['none', 'info'].includes(one.labels['severity'] ?? ''),
  );
}

function alertParts(seen: Seen<Alert[]>, now: number): Part[] {
  if (seen.value === null || !holds(seen, now)) return [];
  // Prometheus gives them in an order that changes from answer to answer: the sentence would change with it.
  const order = (left: Alert, right: Alert): number =>
    left.since - right.since || JSON.stringify(left.labels).localeCompare(JSON.stringify(right.labels));
  const alike = new Map<string, Alert[]>();
  for (const one of [...firing(seen.value)].sort(order)) {
    const rule = `${one.name} ${one.labels['severity']}`;
    alike.set(rule, [...(alike.get(rule) ?? []), one]);
  }
  return [...alike.values()].flatMap(([one, ...others]) => {
    if (one === undefined) return [];
    const more = others.length === 0 ? '' : `, and ${others.length} more like it`;
    return part(
      `Alert ${one.name}`,
      one.labels['severity'] === 'critical' ? 'bad' : 'warning',
      `${(one.annotations['summary'] ?? one.name).replace(/\.$/, '')}${more}.`,
      `The alert ${one.name} fires; it has been so for ${length(now - one.since * 1000)}. ${one.annotations['description'] ?? ''}`.trim(),
      'Prometheus',
      seen.at,
    );
  });
}

/** What Prometheus does not reach, apart from replicas, which say it themselves. */
function targetsPart({ targets: seen, replicas, alerts }: Facts, now: number): Part | null {
  const none = missing('Metrics', 'What Prometheus reads is', seen, 'Prometheus', now);
  // Where the alerts are not known either, the part Prometheus says so.
  if (none !== null || seen.value === null) return holds(alerts, now) ? none : null;
  if (seen.value.length === 0)
    return part(
      'Metrics',
      'unknown',
      'Prometheus reads no metrics, so no alert can fire.',
      'See ./sse logs prometheus.',
      'Prometheus',
      seen.at,
    );
  const own = new Set((replicas.value ?? []).map((one) => one.name));
  const down = seen.value.filter((one) => one.health === 'down' && !own.has(hostOf(one.instance)));
  if (down.length === 0)
    return part(
      'Metrics',
      'good',
      `Prometheus reads ${counted(seen.value.length, 'target')}.`,
      '',
      'Prometheus',
      seen.at,
    );
  const names = down.map((one) => hostOf(one.instance));
  return part(
    'Metrics',
    'warning',
    `${listed(names)} ${verb(names, 'does', 'do')} not answer Prometheus.`,
    `See ./sse status, then ./sse logs ${names[0]}.`,
    'Prometheus',
    seen.at,
  );
}

/** The platform is as well as it is; but whoever compares this page with a watch should know why they differ. */
function clockPart(ahead: number): Part | null {
  if (ahead === 0) return null;
  const words = `The clocks of this computer and of the platform differ by ${length(Math.abs(ahead))}.`;
  return part('Clock', 'good', words, 'This page goes by that of the platform.', 'this browser', null);
}

/** app-1 of app-1:8000. */
export function hostOf(instance: string): string {
  return instance.replace(/:\d+$/, '');
}

/** Ready replicas and all; null where nobody knows. */
export function readyOf(seen: Seen<ReplicaHealth[]>, now: number): string | null {
  if (seen.value === null || seen.at === null || now - seen.at > STALE_MS) return null;
  return `${number(seen.value.filter((one) => one.state === 'good').length)}/${number(seen.value.length)}`;
}

function verb(names: readonly string[], one: string, many: string): string {
  return names.length === 1 ? one : many;
}

/** A sentence that goes on after a colon. */
function lower({ what }: Failure): string {
  return what.replace(/^(The|There|No|This) /, (word) => word.toLowerCase());
}

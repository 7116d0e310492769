import { counted, length, listed } from './format';
import type { Alert, Range, Rule, Target } from './promjson';
import type { State } from './parts';

/** Rules and receivers of alerts, as a person on call reads them. What is not known is never drawn as quiet. */

export type RuleState = 'firing' | 'pending' | 'unknown' | 'quiet' | 'heartbeat';

export interface Alarm {
  /** The group and the name: MetricsAbsent is in several groups. */
  key: string;
  state: RuleState;
  severity: string;
  rule: Rule;
  /** Those that fire or are about to, the oldest first. */
  alerts: Alert[];
  /** Seconds since 1970 of the first of them; null where there is none. */
  since: number | null;
  /** One sentence. */
  words: string;
}

const RANK: Record<RuleState, number> = { firing: 0, pending: 1, unknown: 2, quiet: 3, heartbeat: 4 };
const SEVERITY: Record<string, number> = { critical: 0, warning: 1, info: 2 };

/** The alerting rules: what fires first, of that the worst, then what is about to, then what is not known. */
export function alarms(rules: readonly Rule[]): Alarm[] {
  const all = rules.filter((rule) => rule.kind === 'alerting').map(alarm);
  const rank = (one: Alarm): number => RANK[one.state] * 10 + (SEVERITY[one.severity] ?? 3);
  return all.sort((left, right) => rank(left) - rank(right) || left.key.localeCompare(right.key, 'en'));
}

function alarm(rule: Rule, index: number): Alarm {
  const alerts = [...rule.alerts].sort((left, right) => left.since - right.since);
  const severity = rule.labels['severity'] ?? '';
  const fires = firing({ alerts });
  const common = {
    key: `${rule.group}/${rule.name}/${index}`,
    severity,
    rule,
    alerts,
    since: alerts[0]?.since ?? null,
  };
  const summary = (fires[0] ?? alerts[0])?.annotations['summary'] ?? rule.name;
  if (rule.health === 'err')
    return {
      ...common,
      state: 'unknown',
      words: `Prometheus cannot evaluate it: ${rule.error || 'it does not say why'}`,
    };
  if (rule.health !== 'ok') return { ...common, state: 'unknown', words: 'Prometheus has not evaluated it yet' };
  if (severity === 'none')
    return fires.length > 0
      ? { ...common, state: 'heartbeat', words: 'It always fires: while it arrives, the way of the others works' }
      : { ...common, state: 'unknown', words: 'It should always fire, and it does not' };
  const others = (fires.length || alerts.length) - 1;
  const more = others > 0 ? `, and ${counted(others, 'more')}`.replace(/mores?$/, 'more like it') : '';
  if (fires.length > 0) return { ...common, since: fires[0]?.since ?? null, state: 'firing', words: summary + more };
  if (alerts.length > 0) return { ...common, state: 'pending', words: summary + more };
  return { ...common, state: 'quiet', words: rule.annotations['description'] ?? '' };
}

/** The sentence above all: how many alerts fire. */
export function headline(all: readonly Alarm[]): string {
  if (all.length === 0) return 'Prometheus has no rules, so nothing can fire.';
  const fires = all.filter((one) => one.state === 'firing' && one.severity !== 'info');
  const count = (some: readonly Alarm[]): number => some.reduce((sum, one) => sum + firing(one).length, 0);
  const [alerts, critical] = [count(fires), count(fires.filter((one) => one.severity === 'critical'))];
  if (alerts === 0)
    return all.some((one) => one.state === 'unknown') ? 'Nothing that is known fires.' : 'Nothing fires.';
  const worst = critical === 0 ? '' : critical === alerts ? ', and users notice' : `, ${critical} of them critical`;
  return `${counted(alerts, 'alert')} ${alerts === 1 ? 'fires' : 'fire'}${worst}.`;
}

/** What else is to be known: what is about to fire, and what is not known. */
export function besides(all: readonly Alarm[]): string {
  const count = (state: RuleState): number => all.filter((one) => one.state === state).length;
  const [pending, unknown] = [count('pending'), count('unknown')];
  const known = all.filter((one) => one.state === 'firing' && one.severity === 'info').length;
  return [
    ...(known > 0
      ? [`${counted(known, 'more rule')} ${known === 1 ? 'fires that is' : 'fire that are'} only worth knowing.`]
      : []),
    ...(pending > 0 ? [`${counted(pending, 'rule')} ${pending === 1 ? 'is' : 'are'} about to fire.`] : []),
    ...(unknown > 0 ? [`${counted(unknown, 'rule')} ${unknown === 1 ? 'is' : 'are'} not known.`] : []),
  ].join(' ');
}

function firing({ alerts }: { alerts: readonly Alert[] }): Alert[] {
  return alerts.filter((one) => one.state === 'firing');
}

/** Whether a rule holds what a person searches for. */
export function matches(one: Alarm, search: string): boolean {
  const text = [one.rule.name, one.rule.group, one.severity, one.words, one.rule.expression];
  const labels = one.alerts.flatMap((alert) => Object.values(alert.labels));
  return [...text, ...labels].join(' ').toLowerCase().includes(search.trim().toLowerCase());
}

export interface Receiver {
  name: string;
  state: State | 'idle';
  words: string;
}

export interface Calling {
  state: State;
  /** One sentence: who is called. */
  words: string;
  receivers: Receiver[];
}

/** The name under which Prometheus asks Alertmanager for metrics. */
const JOB = 'alertmanager';

/** Who is called, and whether each receiver took the last message. */
export function calling(targets: readonly Target[], sent: Range, failed: Range, now: number): Calling {
  const own = targets.filter((one) => one.job === JOB);
  if (own.length === 0)
    return { state: 'warning', words: 'Nobody is called: alerts_to names no receiver.', receivers: [] };
  if (own.every((one) => one.health === 'down'))
    return { state: 'bad', words: 'Nobody is called: Alertmanager does not answer.', receivers: [] };
  const names = new Set(sent.series.map((one) => one.labels['receiver_name'] ?? ''));
  names.delete('');
  const values = (range: Range, name: string): (number | null)[] =>
    range.series.find((one) => one.labels['receiver_name'] === name)?.values ?? [];
  const receivers = [...names].sort().map((name) => {
    const all = values(sent, name);
    const bad = values(failed, name);
    const good = all.map((count, index) => (count === null ? null : count - (bad[index] ?? 0)));
    return receiver(name, lastRise(sent.times, good), lastRise(failed.times, bad), span(sent), now);
  });
  if (receivers.length === 0)
    return { state: 'unknown', words: 'Whether anybody is called is not known yet.', receivers };
  const broken = receivers.filter((one) => one.state === 'bad').map((one) => one.name);
  const these = (names: string[]): string => `The ${names.length === 1 ? 'receiver' : 'receivers'} ${listed(names)}`;
  const words =
    broken.length === 0
      ? `${these(receivers.map((one) => one.name))} ${receivers.length === 1 ? 'is' : 'are'} told.`
      : `${these(broken)} ${broken.length === 1 ? 'does' : 'do'} not take alerts.`;
  return { state: broken.length === 0 ? 'good' : 'bad', words, receivers };
}

function receiver(name: string, taken: number | null, failed: number | null, seen: number, now: number): Receiver {
  const before = (at: number): string => length((now / 1000 - at) * 1000);
  if (failed !== null && (taken === null || failed > taken))
    return { name, state: 'bad', words: `The last message failed ${before(failed)} ago.` };
  if (taken !== null) return { name, state: 'good', words: `It took the last message ${before(taken)} ago.` };
  return { name, state: 'idle', words: `Nothing was sent to it for ${length(seen * 1000)}.` };
}

function span({ times }: Range): number {
  return (times.at(-1) ?? 0) - (times[0] ?? 0);
}

/** When a counter grew last; null where it did not. A counter that began anew, and is above 0, grew. */
export function lastRise(times: readonly number[], values: readonly (number | null)[]): number | null {
  let [before, at]: [number | null, number | null] = [null, null];
  for (const [index, value] of values.entries()) {
    if (value === null) continue;
    if (before !== null && (value > before || (value < before && value > 0))) at = times[index] ?? null;
    before = value;
  }
  return at;
}

export interface Drawn {
  /** What is drawn: the left side of a comparison, or all of it. */
  expression: string;
  /** What it is compared with: a number, or another expression; '' where nothing is. */
  limit: string;
}

/**
 * What to draw of an alert's expression. `x > 3` has a value only while it is true, so a chart of it is nearly empty:
 * its left side is drawn, and its right side as the limit.
 */
export function drawn(expression: string): Drawn {
  let at: { start: number; end: number } | null = null;
  for (const index of outermost(expression)) {
    const rest = expression.slice(index);
    if (/^(?:and|or|unless)\b/i.test(rest) && !/\w/.test(expression.charAt(index - 1)))
      return { expression, limit: '' };
    const [sign] = /^(?:>=|<=|==|!=|>|<)/.exec(rest) ?? [];
    if (sign !== undefined) at ??= { start: index, end: index + sign.length };
  }
  if (at === null) return { expression, limit: '' };
  const limit = expression.slice(at.end).trim();
  if (/^(?:bool|on|ignoring)\b/.test(limit)) return { expression, limit: '' };
  return { expression: expression.slice(0, at.start).trim(), limit };
}

/** The places of an expression that are in no brackets and in no text. */
function* outermost(expression: string): Generator<number> {
  let [depth, quote] = [0, ''];
  for (let index = 0; index < expression.length; index += 1) {
    const char = expression.charAt(index);
    if (quote !== '') {
      if (char === '\\') index += 1;
      else if (char === quote) quote = '';
    } else if ('"\'`'.includes(char)) quote = char;
    else if ('([{'.includes(char)) depth += 1;
    else if (')]}'.includes(char)) depth -= 1;
    else if (depth === 0) yield index;
  }
}

/** A web address that may be a link; null for anything else. */
export function linkOf(text: string | undefined): string | null {
  try {
    const url = new URL(text ?? '');
    return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : null;
  } catch {
    return null;
  }
}

/** The labels that tell one series of a rule from another. */
export function naming(labels: Record<string, string>): string {
  const kept = Object.entries(labels).filter(([name]) => !['alertname', 'severity', '__name__'].includes(name));
  return kept.map(([name, value]) => (name === 'instance' ? value : `${name} ${value}`)).join(', ') || 'all together';
}

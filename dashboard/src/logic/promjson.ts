import { isRecord } from './result';

/** What Prometheus' HTTP API says, as types. Times are seconds since 1970. */

export interface Sample {
  labels: Record<string, string>;
  value: number;
  at: number;
}

export interface Series {
  labels: Record<string, string>;
  /** One value for each time of the range; null where there is none. */
  values: (number | null)[];
}

export interface Range {
  times: number[];
  series: Series[];
}

export interface Alert {
  name: string;
  state: 'pending' | 'firing';
  since: number;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  value: number;
}

export interface Rule {
  kind: 'alerting' | 'recording';
  name: string;
  group: string;
  expression: string;
  /** Seconds for which the expression must hold before the alert fires. */
  for: number;
  state: 'inactive' | 'pending' | 'firing' | null;
  health: string;
  error: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  alerts: Alert[];
}

export interface Target {
  job: string;
  instance: string;
  labels: Record<string, string>;
  health: 'up' | 'down' | 'unknown';
  error: string;
  url: string;
  /** When it was asked last, and how long that took. */
  scraped: number;
  seconds: number;
  every: number;
}

/** The values of an instant query: a vector or one scalar. What is not a number is left out. */
export function samplesOf(data: unknown): Sample[] {
  if (!isRecord(data)) return [];
  const result = data['result'];
  if (data['resultType'] === 'scalar') return sample({}, result);
  return list(result).flatMap((one) => (isRecord(one) ? sample(texts(one['metric']), one['value']) : []));
}

/** The values of a range query on the grid start, start + step, ... up to end. */
export function rangeOf(data: unknown, start: number, end: number, step: number): Range {
  const count = Math.max(0, Math.floor((end - start) / step + 1e-6) + 1);
  const times = Array.from({ length: count }, (_, index) => start + index * step);
  const series = (isRecord(data) ? list(data['result']) : []).flatMap((one) => {
    if (!isRecord(one)) return [];
    const values: (number | null)[] = new Array<number | null>(count).fill(null);
    for (const point of list(one['values'])) {
      if (!Array.isArray(point)) continue;
      const index = Math.round((Number(point[0]) - start) / step);
      const value = Number(point[1]);
      if (index >= 0 && index < count && Number.isFinite(value)) values[index] = value;
    }
    return [{ labels: texts(one['metric']), values }];
  });
  return { times, series };
}

export function alertsOf(data: unknown): Alert[] {
  return list(isRecord(data) ? data['alerts'] : null).flatMap((one) => {
    if (!isRecord(one)) return [];
    const labels = texts(one['labels']);
    return [
      {
        name: labels['alertname'] ?? '',
        state: one['state'] === 'firing' ? 'firing' : 'pending',
        since: seconds(one['activeAt']),
        labels,
        annotations: sentences(one['annotations']),
        value: Number(one['value']),
      },
    ];
  });
}

export function rulesOf(data: unknown): Rule[] {
  return list(isRecord(data) ? data['groups'] : null).flatMap((group) => {
    if (!isRecord(group)) return [];
    return list(group['rules']).flatMap((one) => (isRecord(one) ? [rule(text(group['name']), one)] : []));
  });
}

function rule(group: string, one: Record<string, unknown>): Rule {
  const state = one['state'];
  return {
    kind: one['type'] === 'alerting' ? 'alerting' : 'recording',
    name: text(one['name']),
    group,
    expression: text(one['query']),
    for: Number(one['duration'] ?? 0),
    state: state === 'inactive' || state === 'pending' || state === 'firing' ? state : null,
    health: text(one['health']),
    error: text(one['lastError']),
    labels: texts(one['labels']),
    annotations: sentences(one['annotations']),
    alerts: alertsOf({ alerts: one['alerts'] }),
  };
}

export function targetsOf(data: unknown): Target[] {
  return list(isRecord(data) ? data['activeTargets'] : null).flatMap((one) => {
    if (!isRecord(one)) return [];
    const labels = texts(one['labels']);
    const health = one['health'];
    return [
      {
        job: labels['job'] ?? text(one['scrapePool']),
        instance: labels['instance'] ?? '',
        labels,
        health: health === 'up' || health === 'down' ? health : 'unknown',
        error: text(one['lastError']),
        url: text(one['scrapeUrl']),
        scraped: seconds(one['lastScrape']),
        seconds: Number(one['lastScrapeDuration'] ?? 0),
        every: duration(text(one['scrapeInterval'])),
      },
    ];
  });
}

/** Seconds of a duration of Prometheus, such as 1m30s; 0 for anything else. */
export function duration(words: string): number {
  const units: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800, y: 31_536_000 };
  let sum = 0;
  for (const [, count, unit] of words.matchAll(/(\d+)(ms|[smhdwy])/g)) sum += Number(count) * (units[unit ?? ''] ?? 0);
  return sum;
}

function sample(labels: Record<string, string>, pair: unknown): Sample[] {
  if (!Array.isArray(pair)) return [];
  const [at, value] = [Number(pair[0]), Number(pair[1])];
  return Number.isFinite(value) ? [{ labels, value, at }] : [];
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function texts(value: unknown): Record<string, string> {
  if (!isRecord(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
  );
}

/** Commands in them stand between backticks, which a message to a person keeps and this page needs not. */
function sentences(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(texts(value)).map(([name, words]) => [name, words.replaceAll('`', '')]));
}

function seconds(value: unknown): number {
  const time = Date.parse(text(value)) / 1000;
  return Number.isFinite(time) ? time : 0;
}

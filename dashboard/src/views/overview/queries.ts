import { now } from '../../logic/moment';
import type { Range, Sample } from '../../logic/promjson';
import type { Prometheus } from '../../feeds/prometheus';
import type { Result } from '../../logic/result';
import { type Span, windowOf } from '../../logic/ranges';

/** What the overview asks Prometheus, in one place: each is cheap, and a sum over few series. */

/** What the tiles need: how it is now, and how it came to be. */
export interface Vitals {
  published: Result<Range>;
  delivered: Result<Range>;
  latency: Result<Range>;
  subscribers: Result<Range>;
  /** The share of the error budget that is left, by objective. */
  budget: Result<Range>;
}

/** What the charts need beside that. */
export interface History extends Vitals {
  /** When each replica was started: a step of it is a restart. */
  starts: Result<Range>;
  alerts: Result<Range>;
}

type Ask = (expression: string) => Promise<Result<Range>>;

export async function askVitals(prometheus: Prometheus, span: Span, every: number): Promise<Vitals> {
  const ask = asking(prometheus, span);
  const window = `${windowOf(span.step, every)}s`;
  const [published, delivered, latency, subscribers, budget] = await Promise.all([
    // Each replica reads every event of the log: the one that has read most has read them all.
    ask(`max(rate(sse_events_total[${window}]))`),
    ask(`sum(rate(sse_deliveries_total[${window}]))`),
    ask(`sum by (le) (increase(sse_delivery_latency_seconds_bucket[${window}]))`),
    ask('sum by (instance) (sse_subscribers)'),
    ask('min by (slo) (slo:budget_left:ratio)'),
  ]);
  return { published, delivered, latency, subscribers, budget };
}

export async function askHistory(prometheus: Prometheus, span: Span, every: number): Promise<History> {
  const ask = asking(prometheus, span);
  const [vitals, starts, alerts] = await Promise.all([
    askVitals(prometheus, span, every),
    ask('max by (instance) (process_start_time_seconds{job="app"})'),
    ask('count by (alertname) (ALERTS{alertstate="firing",alertname!="Watchdog",severity!~"none|info"})'),
  ]);
  return { ...vitals, starts, alerts };
}

function asking(prometheus: Prometheus, span: Span): Ask {
  return (expression) => prometheus.queryRange(expression, span.from, span.to, span.step);
}

/** The figures of each replica now, by its name in `instance`. */
export interface ReplicaFigures {
  started: Result<Sample[]>;
  streams: Result<Sample[]>;
  delivered: Result<Sample[]>;
  lag: Result<Sample[]>;
  p99: Result<Sample[]>;
  cpu: Result<Sample[]>;
  memory: Result<Sample[]>;
  limit: Result<Sample[]>;
  lastUp: Result<Sample[]>;
  release: Result<Sample[]>;
}

export async function askReplicas(prometheus: Prometheus, every: number, down: boolean): Promise<ReplicaFigures> {
  const window = `${windowOf(0, every)}s`;
  const none: Result<Sample[]> = { ok: true, value: [], at: now() };
  // By name where the containers are measured from outside, else by the process itself.
  const named = (expression: string): string =>
    `label_replace(${expression}, "instance", "$1", "name", ".*?(app-[0-9]+)")`;
  const [started, streams, delivered, lag, p99, cpu, memory, limit, lastUp, release] = await Promise.all([
    prometheus.query('process_start_time_seconds{job="app"}'),
    prometheus.query('sse_subscribers'),
    prometheus.query(`rate(sse_deliveries_total[${window}])`),
    prometheus.query('sse_log_lag_records'),
    prometheus.query(
      `histogram_quantile(0.99, sum by (instance, le) (rate(sse_delivery_latency_seconds_bucket[${window}])))`,
    ),
    prometheus.query(
      `${named(`rate(container_cpu_usage_seconds_total{name=~"(.+-)?app-[0-9]+"}[1m])`)} or rate(process_cpu_seconds_total{job="app"}[1m])`,
    ),
    prometheus.query(
      `${named('container_memory_working_set_bytes{name=~"(.+-)?app-[0-9]+"}')} or process_resident_memory_bytes{job="app"}`,
    ),
    prometheus.query(named('container_spec_memory_limit_bytes{name=~"(.+-)?app-[0-9]+"}')),
    // Only while a replica is down: when it answered last.
    down ? prometheus.query('max_over_time(timestamp(up{job="app"} == 1)[6h:15s])') : none,
    prometheus.query(named('sse_container_release{name=~"(.+-)?app-[0-9]+"}')),
  ]);
  return { started, streams, delivered, lag, p99, cpu, memory, limit, lastUp, release };
}

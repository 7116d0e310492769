import type { Outcome } from '../logic/answers';
import type { Releases } from '../logic/files';
import { clockAhead } from '../logic/moment';
import { type Facts, replicaHealth, type ReplicaHealth } from '../logic/parts';
import type { Alert, Target } from '../logic/promjson';
import { bad, good, isRecord, type Result } from '../logic/result';
import { type Api, request } from './api';
import type { Files } from './files';
import { Polled } from './polled';
import type { Prometheus } from './prometheus';

/** Seldom enough to cost nothing; often enough that a fault shows within 10 s. */
const HEALTH_MS = 2_500;
const PROMETHEUS_MS = 4_000;
const FILES_MS = 10_000;
/** What the recording rules of SLOs say: the share that was as promised, of the worst objective, over three days. */
const SLO = '1 - max(slo:errors:ratio_rate3d)';

/** What is known of all parts of the platform. It is asked on every page, since the header shows the worst. */
export class Platform implements Facts {
  readonly replicas: Polled<ReplicaHealth[]>;
  readonly edge: Polled<Outcome>;
  readonly access: Polled<Outcome>;
  readonly alerts: Polled<Alert[]>;
  readonly targets: Polled<Target[]>;
  readonly releases: Polled<Releases>;
  /** The worst objective over three days, as a share of 1, by the recording rules. */
  readonly slo: Polled<number>;
  private names: string[] | null = null;

  constructor(
    private readonly api: Api,
    prometheus: Prometheus,
    files: Files,
  ) {
    this.replicas = new Polled(() => this.askReplicas(), HEALTH_MS);
    this.edge = new Polled(async () => heard(await request('/api/v1/health/ready')), HEALTH_MS);
    this.access = new Polled(async () => heard(await api.request('/api/v1/stats')), HEALTH_MS);
    this.alerts = new Polled(() => prometheus.alerts(), PROMETHEUS_MS);
    this.targets = new Polled(() => prometheus.targets(), PROMETHEUS_MS);
    this.releases = new Polled(() => files.read('releases'), FILES_MS);
    this.slo = new Polled(() => askSlo(prometheus), FILES_MS);
    api.onToken(() => void this.access.ask(true));
  }

  get held(): boolean {
    return this.api.token !== '';
  }

  get ahead(): number {
    return clockAhead();
  }

  /** Calls `handler` after each answer about any part; returns what ends that. */
  changed(handler: () => void): () => void {
    const ends = this.all.map((one) => one.changed(handler));
    return () => {
      for (const end of ends) end();
    };
  }

  start(): void {
    for (const one of this.all) one.start();
  }

  /** Asks all at once. */
  askNow(): void {
    for (const one of this.all) void one.ask(true);
  }

  private get all(): Polled<unknown>[] {
    return [this.replicas, this.edge, this.access, this.alerts, this.targets, this.releases, this.slo];
  }

  private async askReplicas(): Promise<Result<ReplicaHealth[]>> {
    const outcome = await request('/replicas');
    const body = outcome.answer?.body;
    if (outcome.ok && isRecord(body) && Array.isArray(body['replicas'])) this.names = body['replicas'].map(String);
    else if (outcome.answer === null && !outcome.ok) return { ok: false, failure: outcome.failure, status: null };
    if (this.names === null)
      return bad(
        'The server of this page names no replicas.',
        'See ./sse logs dashboard.',
        outcome.answer?.status ?? null,
      );
    const asked = this.names.map(async (name) => replicaHealth(name, await request(`/replicas/${name}/health`)));
    return good(await Promise.all(asked));
  }
}

async function askSlo(prometheus: Prometheus): Promise<Result<number>> {
  const result = await prometheus.query(SLO);
  if (!result.ok) return result;
  const values = result.value.map((one) => one.value);
  if (values.length === 0) return bad('Prometheus has no recording rules of SLOs.', 'A later ./sse up brings them.');
  return good(Math.min(...values), result.at);
}

/** An answer that is no success is an answer all the same; only where nothing answers, nothing was heard. */
function heard(outcome: Outcome): Result<Outcome> {
  if (outcome.answer !== null || outcome.ok) return good(outcome);
  return { ok: false, failure: outcome.failure, status: null };
}

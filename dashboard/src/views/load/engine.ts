import { EventStream } from 'sse-platform-client';
import { Histogram, percentiles } from '../../logic/histogram';
import { type Bounds, due, type LoadPlan, mostAtOnce, numberReader, payload } from '../../logic/load-plan';
import type { Run } from '../../logic/runs';
import { count } from '../../logic/tally';
import type { Api } from '../../feeds/api';

/** For the streams to open, and for the last events to arrive. */
const PATIENCE_MS = 15_000;

/** What is known while a test runs. */
export interface Progress {
  phase: 'opening' | 'running' | 'waiting' | 'done';
  open: number;
  elapsed: number;
  sent: number;
  accepted: number;
  seen: number;
  delivery: Histogram;
  answer: Histogram;
  codes: Record<string, number>;
  /** The seconds that have ended: for the picture. */
  seconds: Second[];
}

export interface Second {
  seen: number;
  p50: number | null;
  p99: number | null;
}

/** One load test: subscribers that count, and one publisher at the rate of the plan. */
export class LoadTest {
  readonly progress: Progress;
  private readonly test: string;
  private readonly streams: EventStream[] = [];
  private readonly total: number;
  private readonly sentAt: Float64Array;
  private readonly acceptedOnes: Uint8Array;
  private readonly counts: Uint8Array[];
  /** Of the second that goes on. What was seen in one that has ended is known in three numbers. */
  private delivery = new Histogram();
  private stopped = false;
  private begun = 0;
  private replica: string | null = null;

  constructor(
    private readonly plan: LoadPlan,
    private readonly bounds: Bounds,
    private readonly api: Api,
  ) {
    this.test = Array.from(crypto.getRandomValues(new Uint8Array(4)), (one) => one.toString(16).padStart(2, '0')).join(
      '',
    );
    this.total = plan.rate * plan.seconds;
    this.sentAt = new Float64Array(this.total);
    this.acceptedOnes = new Uint8Array(this.total);
    this.counts = Array.from({ length: plan.subscribers }, () => new Uint8Array(this.total));
    this.progress = {
      ...{ phase: 'opening', open: 0, elapsed: 0, sent: 0, accepted: 0, seen: 0, codes: {}, seconds: [] },
      ...{ delivery: new Histogram(), answer: new Histogram() },
    };
  }

  stop(): void {
    this.stopped = true;
  }

  async run(): Promise<Run> {
    const at = Date.now();
    try {
      await this.open();
      this.begun = performance.now();
      this.progress.phase = 'running';
      await this.publish();
      this.tick();
      const lasted = performance.now() - this.begun;
      this.progress.phase = 'waiting';
      await this.settle();
      return this.result(at, lasted);
    } finally {
      for (const stream of this.streams) stream.close();
      this.progress.phase = 'done';
    }
  }

  /** The figures so far. */
  tick(): void {
    if (this.progress.phase !== 'running' && this.progress.phase !== 'waiting') return;
    const now = performance.now();
    this.progress.elapsed = now - this.begun;
    if (this.progress.phase === 'running') this.endSeconds(now);
  }

  private endSeconds(now: number): void {
    const ended = Math.floor((now - this.begun) / 1000);
    while (this.progress.seconds.length < ended) {
      const { delivery } = this;
      this.progress.seconds.push({
        seen: delivery.count,
        p50: delivery.percentile(50),
        p99: delivery.percentile(99),
      });
      this.delivery = new Histogram();
    }
  }

  private channel(n: number): string {
    return `dashboard.load.${this.test}.${n % this.plan.channels}`;
  }

  private async open(): Promise<void> {
    const read = numberReader(this.test);
    for (const times of this.counts) {
      const stream = new EventStream({ channels: [`dashboard.load.${this.test}.*`], token: () => this.api.token });
      stream.on('message', (event) => {
        const n = read(event.data);
        if (n !== null && n < this.total) this.seen(times, n);
      });
      this.streams.push(stream);
    }
    const opened = await this.until(() => {
      const refused = this.streams.find((stream) => stream.state.phase === 'refused');
      if (refused !== undefined)
        throw new Error(`a subscriber was refused: ${refused.state.reason ?? 'no reason was given'}`);
      this.progress.open = this.streams.filter((stream) => stream.state.phase === 'open').length;
      return this.progress.open === this.streams.length;
    });
    if (!opened && !this.stopped)
      throw new Error(
        `only ${this.progress.open} of ${this.streams.length} subscribers were open after ${PATIENCE_MS / 1000} s`,
      );
    this.replica = [...new Set(this.streams.map((stream) => stream.state.replica).filter((name) => name !== null))]
      .sort()
      .join(', ');
  }

  private seen(times: Uint8Array, n: number): void {
    const before = times[n] ?? 0;
    if (before < 255) times[n] = before + 1;
    if (before > 0) return;
    const now = performance.now();
    const took = now - (this.sentAt[n] ?? now);
    this.progress.seen += 1;
    this.progress.delivery.add(took);
    this.endSeconds(now);
    this.delivery.add(took);
  }

  private async publish(): Promise<void> {
    const [end, most] = [this.plan.seconds * 1000, mostAtOnce(this.plan, this.bounds)];
    while (!this.stopped && this.progress.sent < this.total) {
      const elapsed = performance.now() - this.begun;
      const ready = Math.min(most, due(this.plan, elapsed) - this.progress.sent);
      if (ready > 0) await this.send(this.progress.sent, ready);
      // What could not be sent within the time is not sent at all: the test lasts as long as it says.
      if (elapsed > end && ready === 0) break;
      if (elapsed > end + 1000) break;
      const next = this.begun + ((this.progress.sent + 1) / this.plan.rate) * 1000;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, Math.min(next - performance.now(), 50))));
    }
  }

  private async send(first: number, size: number): Promise<void> {
    const numbers = Array.from({ length: size }, (_, index) => first + index);
    const body = JSON.stringify(
      numbers.map((n) => ({ channel: this.channel(n), data: payload(this.test, n, this.plan.size) })),
    );
    const begun = performance.now();
    for (const n of numbers) this.sentAt[n] = begun;
    this.progress.sent += size;
    const outcome = await this.api.request('/api/v1/events', {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        'Load-Test': this.test,
        'Idempotency-Key': `load-${this.test}-${first}`,
      },
      body,
    });
    const code = outcome.answer === null ? 'none' : String(outcome.answer.status);
    this.progress.codes[code] = (this.progress.codes[code] ?? 0) + size;
    if (!outcome.ok) return;
    this.progress.answer.add(performance.now() - begun);
    this.progress.accepted += size;
    for (const n of numbers) this.acceptedOnes[n] = 1;
  }

  private async settle(): Promise<void> {
    if (this.progress.accepted === 0) return;
    await this.until(() => count(this.acceptedOnes, this.counts).lost === 0, 200);
  }

  private async until(condition: () => boolean, every = 20): Promise<boolean> {
    const end = performance.now() + PATIENCE_MS;
    while (!condition()) {
      if (performance.now() > end || (this.stopped && this.progress.phase === 'opening')) return false;
      await new Promise((resolve) => setTimeout(resolve, every));
    }
    return true;
  }

  private result(at: number, lasted: number): Run {
    const { sent, accepted, delivery, answer, codes } = this.progress;
    const found = count(this.acceptedOnes, this.counts);
    return {
      ...this.plan,
      ...{ id: this.test, at, lasted, sent, accepted, ...found, codes: { ...codes } },
      ...{ delivery: percentiles(delivery), answer: percentiles(answer), replica: this.replica, stopped: this.stopped },
    };
  }
}

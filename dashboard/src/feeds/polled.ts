import { now } from '../logic/moment';
import type { Failure, Result, Seen } from '../logic/result';

/**
 * A value that is asked for again and again: the last one that was had, when, and why there was none since then.
 * Nothing is asked while the tab is hidden.
 */
export class Polled<T> implements Seen<T> {
  value: T | null = null;
  at: number | null = null;
  failure: Failure | null = null;
  status: number | null = null;
  asked = false;
  private timer: ReturnType<typeof setInterval> | undefined;
  private asking = false;
  private latest = 0;
  private readonly handlers = new Set<() => void>();

  constructor(
    private readonly question: () => Promise<Result<T>>,
    private readonly everyMs: number,
  ) {}

  /** Calls `handler` after each answer; returns what ends that. */
  changed(handler: () => void): () => void {
    this.handlers.add(handler);
    return () => void this.handlers.delete(handler);
  }

  /** Asks now and then on; once only, however often it is called. */
  start(): void {
    if (this.timer !== undefined) return;
    this.timer = setInterval(() => void this.ask(), this.everyMs);
    document.addEventListener('visibilitychange', this.back);
    void this.ask();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    document.removeEventListener('visibilitychange', this.back);
  }

  /** How old the value is, in milliseconds; null while there is none. */
  age(when = now()): number | null {
    return this.at === null ? null : Math.max(0, when - this.at);
  }

  /** Asks at once. A slow answer is never overtaken: the next question waits for it, unless `again` says otherwise. */
  async ask(again = false): Promise<void> {
    if (document.hidden || (this.asking && !again)) return;
    this.asking = true;
    this.latest += 1;
    const mine = this.latest;
    const result = await this.question();
    if (mine !== this.latest) return; // a later question was asked
    this.asking = false;
    this.asked = true;
    if (result.ok) [this.value, this.at, this.failure, this.status] = [result.value, result.at, null, 200];
    else [this.failure, this.status] = [result.failure, result.status];
    for (const handler of this.handlers) {
      try {
        handler();
      } catch (error) {
        // A view that fails keeps the answer from nobody else.
        reportError(error);
      }
    }
  }

  private readonly back = (): void => {
    if (!document.hidden) void this.ask();
  };
}

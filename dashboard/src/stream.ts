import { type Block, SseParser } from './sse-parser';
import { advance, initialState, type Signal, type StreamState } from './stream-state';

/** Four default heartbeats (15 s): a link that is dead without having said so. The reconnect resumes, so it loses nothing. */
const SILENCE_MS = 60_000;

export interface StreamHooks {
  changed(state: StreamState, before: StreamState): void;
  event(block: Block & { data: string }, at: number): void;
}

/** Keeps one stream alive for ever, resuming by Last-Event-ID. */
export class EventStream {
  state: StreamState = initialState(performance.now());
  private wake: () => void = () => {};

  constructor(
    private readonly url: string,
    private readonly hooks: StreamHooks,
  ) {}

  async run(): Promise<never> {
    for (;;) {
      await this.attempt();
      await this.pause();
    }
  }

  /** Tries at once instead of waiting; does nothing while a stream is open. */
  retryNow(): void {
    this.wake();
  }

  private apply(signal: Signal): void {
    const before = this.state;
    this.state = advance(before, signal);
    this.hooks.changed(this.state, before);
  }

  private async attempt(): Promise<void> {
    this.apply({ type: 'attempt', at: performance.now() });
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      const headers: Record<string, string> = { Accept: 'text/event-stream' };
      if (this.state.cursor !== null) headers['Last-Event-ID'] = this.state.cursor;
      const response = await fetch(this.url, { headers, cache: 'no-store', signal: silence.signal });
      this.apply({
        type: 'answer',
        at: performance.now(),
        status: response.status,
        contentType: response.headers.get('Content-Type') ?? '',
        replica: response.headers.get('X-Replica'),
      });
      if (this.state.phase !== 'connecting' || response.body === null) {
        silence.abort();
      } else {
        const parser = new SseParser({
          block: (block) => this.received(block),
          retry: (milliseconds) => this.apply({ type: 'retry', milliseconds }),
        });
        const reader = response.body.getReader();
        const decoder = new TextDecoder();
        for (let part = await reader.read(); !part.done; part = await reader.read()) {
          clearTimeout(timer);
          timer = setTimeout(() => silence.abort(), SILENCE_MS);
          this.apply({ type: 'heard', at: performance.now() });
          parser.push(decoder.decode(part.value, { stream: true }));
        }
      }
      this.apply({ type: 'ended', at: performance.now(), reason: 'the server closed the stream' });
    } catch {
      const reason = silence.signal.aborted ? `nothing was heard for ${SILENCE_MS / 1000} s` : 'the connection broke';
      this.apply({ type: 'ended', at: performance.now(), reason });
    } finally {
      clearTimeout(timer);
    }
  }

  private received(block: Block): void {
    const at = performance.now();
    this.apply({ type: 'block', at, block });
    if (block.data !== null) this.hooks.event({ ...block, data: block.data }, at);
  }

  private async pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.state.phase === 'refused' ? undefined : setTimeout(resolve, this.state.delayMs);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.wake = () => {};
  }
}

import { EventStream, type StreamEvent, type StreamState } from 'sse-platform-client';
import { type LiveEvent, Naming } from '../logic/naming';
import type { Api } from './api';

export type { LiveEvent } from '../logic/naming';
export type { StreamState } from 'sse-platform-client';

/** One stream of all channels, which all views share. Without a reader it is not open. */
export class Live {
  private stream: EventStream | null = null;
  private readonly readers = new Set<(event: LiveEvent) => void>();
  private readonly watchers = new Set<(state: StreamState, before: StreamState) => void>();
  private readonly naming = new Naming();

  constructor(private readonly api: Api) {
    api.onToken(() => {
      if (this.stream !== null) this.open(this.stream.state.cursor);
    });
  }

  /** The state of the stream; null while nobody reads. */
  get state(): StreamState | null {
    return this.stream?.state ?? null;
  }

  /** Gives `reader` each event from now on; returns what ends that. */
  read(reader: (event: LiveEvent) => void): () => void {
    this.readers.add(reader);
    if (this.stream === null) this.open(null);
    return () => {
      this.readers.delete(reader);
      if (this.readers.size > 0) return;
      this.stream?.close();
      this.stream = null;
    };
  }

  /** Calls `watcher` after each change of the state; returns what ends that. */
  watch(watcher: (state: StreamState, before: StreamState) => void): () => void {
    this.watchers.add(watcher);
    return () => void this.watchers.delete(watcher);
  }

  /** Tries at once instead of waiting. */
  retryNow(): void {
    this.stream?.retryNow();
  }

  private open(cursor: string | null): void {
    this.stream?.close();
    const stream = new EventStream({
      channels: ['*'],
      token: () => this.api.token,
      ...(cursor === null ? {} : { lastEventId: cursor }),
    });
    stream.changed = (state, before) => {
      if (stream === this.stream) for (const watcher of this.watchers) watcher(state, before);
    };
    stream.on('*', (event) => this.take(event));
    this.stream = stream;
  }

  private take(event: StreamEvent): void {
    const named = this.naming.take(event, performance.now());
    if (named !== null) for (const reader of this.readers) reader(named);
  }
}

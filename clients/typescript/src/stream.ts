import { type Access, address, detailOf, retryAfter, send } from './http.js';
import { type Block, SseParser } from './parser.js';
import { advance, initialState, parsed, type Signal, type StreamState, textOf } from './state.js';

/** Four default heartbeats (15 s): a link that is dead without having said so. The reconnect resumes, so it loses nothing. */
const SILENCE_MS = 60_000;
/** Events that wait for a `for await` that is slow: then nothing more is read. */
const MOST_WAITING = 1_000;
/** Names that the stream itself uses; `cursor` carries an id and nothing else. */
const OWN = ['gap', 'bye', 'cursor', 'meta', 'traceparent'];

/** One event, as it came. */
export class StreamEvent<Data = unknown> {
  constructor(
    /** Its name; "message" where it has none. */
    readonly type: string,
    readonly data: string,
    /** The cursor after this event. */
    readonly id: string | null,
    /** Its channel, and its time by the clock of the log: with `meta`, else null. */
    readonly channel: string | null = null,
    readonly time: Date | null = null,
    /** The W3C trace of its publisher: with `trace`, and where there was one, else null. */
    readonly traceparent: string | null = null,
  ) {}

  /** The data as JSON. */
  json(): Data {
    return JSON.parse(this.data) as Data;
  }
}

/** Events of `requested` up to `resumed_from` are lost to this stream: load what you show again. */
export interface Gap {
  requested: string;
  resumed_from: string;
  reason: string;
}

export interface StreamOptions extends Access {
  /** Names, `prefix.*` or `*`. */
  channels: string[];
  /** Go on after this id. */
  lastEventId?: string;
  /** Where to begin without an id: at the oldest event kept, before the last N, or at a time. Now, by default. */
  from?: 'earliest';
  last?: number;
  since?: Date | string | number;
  /** Keeps the cursor, so that a page that is loaded again goes on where it was: `sessionStorage`, for example. */
  storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
  /** The name in the storage; the address and the channels by default. */
  storageKey?: string;
  /**
   * `fetch` by default: all names, headers and statuses. `eventsource` uses the browser's own EventSource, which shows
   * only the names of `types` and sends no headers: the credential is a ticket in `query`.
   */
  transport?: 'fetch' | 'eventsource';
  /** Names of events that `eventsource` listens for, besides "message". */
  types?: string[];
  /** Tells `channel` and `time` of each event, and in the state where the stream resumed from. */
  meta?: boolean;
  /** Tells the `traceparent` of each event. */
  trace?: boolean;
  /** Further parameters, such as a ticket. */
  query?: Record<string, string>;
  /** Milliseconds of silence after which a connection is dead; 60,000 by default. */
  silenceMs?: number;
  /** Ends the stream. */
  signal?: AbortSignal;
}

/** Listeners by name: your events with their data, and what the stream says of itself. */
export interface OwnEvents {
  '*': unknown;
  gap: Gap;
  bye: { reason: string };
}

type Described = { -readonly [Name in 'channel' | 'time' | 'traceparent']: StreamEvent[Name] };

/** What happened; when it did, is added. */
type What = Signal extends infer One ? (One extends { at: number } ? Omit<One, 'at'> : One) : never;

const nothing = (): Described => ({ channel: null, time: null, traceparent: null });

type Listener = (event: StreamEvent<never>) => void;

/**
 * Keeps one stream alive, and resumes after the last event by its id. It begins at once, and ends by `close`.
 *
 * @typeParam Events - the data of each name of an event
 */
export class EventStream<Events extends object = Record<string, unknown>> {
  state: StreamState;
  /** Called after each change of the state, with the one before. */
  changed: (state: StreamState, before: StreamState) => void = () => {};
  private readonly options: StreamOptions;
  private readonly listeners = new Map<string, Set<Listener>>();
  private readonly key: string;
  private wake: () => void = () => {};
  private cut: () => void = () => {};
  private waiting: StreamEvent[] | null = null;
  private more: () => void = () => {};
  private room: () => void = () => {};
  /** What came before the next event. */
  private described = nothing();

  constructor(options: StreamOptions) {
    if (options.channels.length === 0) throw new TypeError('channels: at least one is needed, as in ["orders.*"]');
    this.options = options;
    this.key = options.storageKey ?? `sse ${options.url ?? ''} ${[...options.channels].sort().join(' ')}`;
    const kept = options.storage?.getItem(this.key) ?? null;
    this.state = initialState(performance.now(), (options.lastEventId ?? kept) || null);
    options.signal?.addEventListener('abort', () => this.close(), { once: true });
    // Not before the caller has added listeners.
    queueMicrotask(() => void this.run());
    if (options.signal?.aborted) this.close();
  }

  /** Calls `listener` for each event of a name, or of any name: '*'. Returns what takes the listener away. */
  on<Name extends (keyof Events & string) | keyof OwnEvents>(
    name: Name,
    listener: (event: StreamEvent<(Events & OwnEvents)[Name]>) => void,
  ): () => void {
    const all = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, all.add(listener as Listener));
    return () => void all.delete(listener as Listener);
  }

  /** Gives each event, one after the other; `gap` and `bye`, too. A slow loop slows the stream. */
  async *[Symbol.asyncIterator](): AsyncGenerator<StreamEvent, void> {
    const waiting: StreamEvent[] = (this.waiting ??= []);
    try {
      for (;;) {
        const event = waiting.shift();
        this.room();
        if (event) yield event;
        else if (this.state.phase === 'closed') return;
        else if (this.state.phase === 'refused') throw new Error(this.state.reason ?? 'refused');
        else await new Promise<void>((resolve) => (this.more = resolve));
      }
    } finally {
      this.close();
    }
  }

  /** Tries at once instead of waiting; does nothing while a stream is open. */
  retryNow(): void {
    this.wake();
  }

  /** Ends the stream for good. The cursor stays in the storage. */
  close(): void {
    this.apply({ type: 'closed' });
    this.cut();
    this.wake();
    this.more();
    this.room();
  }

  private get over(): boolean {
    return this.state.phase === 'closed';
  }

  private async run(): Promise<void> {
    while (!this.over) {
      this.apply({ type: 'attempt' });
      await (this.options.transport === 'eventsource' ? this.listen() : this.read());
      if (!this.over) await this.pause();
    }
  }

  private apply(what: What): void {
    const before = this.state;
    this.state = advance(before, { ...what, at: performance.now() } as Signal);
    if (this.state !== before) this.changed(this.state, before);
    if (this.state.phase === 'refused') this.more();
  }

  private async read(): Promise<void> {
    this.described = nothing();
    const dead = new AbortController();
    const cut = (this.cut = () => dead.abort());
    const silence = this.options.silenceMs ?? SILENCE_MS;
    let timer = setTimeout(cut, silence);
    try {
      const response = await this.ask(dead.signal, true);
      const parser = new SseParser({
        block: (block) => this.received(block),
        retry: (milliseconds) => this.apply({ type: 'retry', milliseconds }),
      });
      if (this.state.phase !== 'connecting' || response.body === null) cut();
      else {
        const reader = response.body.getReader();
        const decoder = new TextDecoder();
        for (let part; !(part = await reader.read()).done;) {
          clearTimeout(timer);
          this.apply({ type: 'heard' });
          parser.push(decoder.decode(part.value, { stream: true }));
          if ((this.waiting ?? []).length > MOST_WAITING) await new Promise<void>((resolve) => (this.room = resolve));
          timer = setTimeout(cut, silence);
        }
      }
      this.end('the server closed the stream');
    } catch (error) {
      this.end(
        error instanceof RangeError
          ? `the server sent ${error.message}`
          : dead.signal.aborted
            ? `nothing was heard for ${silence / 1000} s`
            : 'the connection broke',
      );
    } finally {
      clearTimeout(timer);
      cut();
    }
  }

  private async ask(signal: AbortSignal, again: boolean): Promise<Response> {
    const headers: Record<string, string> = { Accept: 'text/event-stream' };
    if (this.state.cursor !== null) headers['Last-Event-ID'] = this.state.cursor;
    const response = await send(this.options, this.path(), headers, { cache: 'no-store', signal });
    // A token that has just ended: what makes tokens gives another one.
    if (response.status === 401 && again && typeof this.options.token === 'function') {
      await response.body?.cancel();
      return this.ask(signal, false);
    }
    this.apply({
      type: 'answer',
      status: response.status,
      contentType: response.headers.get('Content-Type') ?? '',
      replica: response.headers.get('X-Replica'),
      retryAfterMs: retryAfter(response),
      detail: response.ok ? '' : await detailOf(response),
    });
    return response;
  }

  /** One life of the browser's EventSource. It comes back by itself, with its last id, until an answer is no stream. */
  private listen(): Promise<void> {
    return new Promise((resolve) => {
      const source = new EventSource(
        address(this.options, this.path({ heartbeat: 'event', last_event_id: this.state.cursor ?? '' })),
      );
      const over = (reason: string): void => {
        source.close();
        this.end(reason);
        resolve();
      };
      this.cut = () => over('closed');
      // A browser repeats the last id where an event has none, as `meta` has none.
      const heard = ({ type, data, lastEventId }: MessageEvent<string>): void =>
        this.received({ event: type, data, id: lastEventId === this.state.cursor ? null : lastEventId || null });
      for (const name of ['message', ...OWN, ...(this.options.types ?? [])]) source.addEventListener(name, heard);
      source.onerror = () => {
        if (source.readyState === EventSource.CLOSED) over('the answer was no stream');
        else this.end('the connection broke');
      };
    });
  }

  private path(more: Record<string, string> = {}): string {
    const { channels, from, last, since, query, meta, trace } = this.options;
    const found = new URLSearchParams(query);
    for (const channel of channels) found.append('channel', channel);
    const begin = this.state.cursor ? {} : { from, last, since: since instanceof Date ? since.toISOString() : since };
    const all = { meta: meta ? 1 : '', trace: trace ? 1 : '', ...begin, ...more };
    for (const [name, value] of Object.entries(all)) if (`${value ?? ''}`) found.set(name, `${value}`);
    return `/stream?${found}`;
  }

  private end(reason: string): void {
    this.apply({ type: 'ended', reason });
  }

  private received(block: Block): void {
    if (this.over) return;
    this.apply({ type: 'block', block });
    // Events have an id: before `meta` belonged to the stream, a publisher could name one so.
    const own = block.id === null && this.describes(block.event, block.data);
    if (block.data !== null && block.event !== 'cursor' && !own) {
      const { channel, time, traceparent } = this.described;
      this.described = nothing();
      this.give(new StreamEvent(block.event, block.data, block.id, channel, time, traceparent));
    }
    // After the listeners: a page that is loaded again in between gets the event again, and never misses it.
    try {
      if (block.id) this.options.storage?.setItem(this.key, block.id);
      else if (block.id === '') this.options.storage?.removeItem(this.key);
    } catch {
      // A storage that is full, or closed to this page, keeps no cursor; the stream goes on.
    }
  }

  /** Keeps what a block says of the event that follows it; false for a block that is an event itself. */
  private describes(name: string, data: string | null): boolean {
    if (name === 'meta' && this.options.meta) {
      const said = parsed(data);
      const time = new Date(textOf(said, 'time') ?? '');
      this.described.channel = textOf(said, 'channel');
      this.described.time = time.getTime() ? time : null;
      return true;
    }
    const traces = name === 'traceparent' && this.options.trace === true;
    if (traces) this.described.traceparent = data;
    return traces;
  }

  private give(event: StreamEvent): void {
    this.waiting?.push(event);
    this.more();
    for (const listener of [event.type, '*'].flatMap((name) => [...(this.listeners.get(name) ?? [])])) {
      try {
        listener(event as StreamEvent<never>);
      } catch (error) {
        // A listener that fails ends no stream; the page sees its error as any other.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  private async pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.state.phase === 'refused' ? undefined : setTimeout(resolve, this.state.delayMs);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** The data of a gap or goodbye, for those who read events by `for await`. */
export function told<Name extends 'gap' | 'bye'>(event: StreamEvent, name: Name): OwnEvents[Name] | null {
  return event.type === name ? ((parsed(event.data) as OwnEvents[Name] | undefined) ?? null) : null;
}

import { type Access, address, detailOf, headersOf, RefusedError, retryAfter, send, withGiven } from './http.js';
import { type Block, SseParser } from './parser.js';
import { advance, initialState, parsed, type Signal, type StreamState, textOf, tried } from './state.js';

/** Four default heartbeats (15 s): a link that is dead without having said so. The reconnect resumes, so it loses nothing. */
const SILENCE_MS = 60_000;
/** A timer of a little more, 2^31 milliseconds, ends at once. */
const LONGEST_TIMER_MS = 2e9;
/** Events that wait for a `for await` that is slow: then nothing more is read. */
const MOST_WAITING = 1_000;
/** Characters of an address, which NGINX takes up to 8 KB; a longer one becomes the body of a POST. */
const LONGEST_ADDRESS = 8_000;
/** Names that the stream itself uses, `cursor` for an id and nothing else, and the name of an event without one. */
const OWN = ['message', 'gap', 'bye', 'cursor', 'meta', 'traceparent'];

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

type Described = { -readonly [Name in 'channel' | 'time' | 'traceparent']?: StreamEvent[Name] };

/** What happened; when it did, is added. */
type What = Signal extends infer One ? (One extends { at: number } ? Omit<One, 'at'> : One) : never;

type Listener = (event: StreamEvent<never>) => void;

/** Calls a function of the page. One that fails ends no stream; the page sees its error as any other. */
function call(work: () => void): void {
  try {
    work();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/**
 * Keeps one stream alive, and resumes after the last event by its id. It begins at once, and ends by `close`.
 *
 * @typeParam Events - the data of each name of an event
 */
export class EventStream<Events extends object = Record<string, unknown>> {
  state: StreamState;
  /** Called after each change of the state, with the one before. */
  changed: (state: StreamState, before: StreamState) => void = () => {};
  private readonly _options: StreamOptions;
  private readonly _listeners = new Map<string, Set<Listener>>();
  private readonly _key: string;
  private _wake: () => void = () => {};
  private _cut: () => void = () => {};
  private _waiting: StreamEvent[] | null = null;
  private _more: () => void = () => {};
  private _room: () => void = () => {};
  /** What came before the next event. */
  private _described: Described = {};

  constructor(options: StreamOptions) {
    if (options.channels.length === 0) throw new TypeError('channels: expected at least one');
    this._options = options;
    this._key = options.storageKey ?? `sse ${options.url ?? ''} ${[...options.channels].sort().join(' ')}`;
    const kept = tried(() => options.storage?.getItem(this._key));
    this.state = initialState(performance.now(), (options.lastEventId ?? kept) || null);
    this._query(); // a date that is none is a mistake of the caller
    options.signal?.addEventListener('abort', () => this.close());
    // Not before the caller has added listeners.
    queueMicrotask(() => void this._run());
    if (options.signal?.aborted) this.close();
  }

  /** Calls `listener` for each event of a name, or of any name: '*'. Returns what takes the listener away. */
  on<Name extends (keyof Events & string) | keyof OwnEvents>(
    name: Name,
    listener: (event: StreamEvent<(Events & OwnEvents)[Name]>) => void,
  ): () => void {
    const all = this._listeners.get(name) ?? new Set();
    this._listeners.set(name, all.add(listener as Listener));
    return () => void all.delete(listener as Listener);
  }

  /** Gives each event, one after the other; `gap` and `bye`, too. A slow loop slows the stream. */
  async *[Symbol.asyncIterator](): AsyncGenerator<StreamEvent, void> {
    const waiting: StreamEvent[] = (this._waiting ??= []);
    try {
      for (;;) {
        const event = waiting.shift();
        this._room();
        if (event) yield event;
        else if (this._over) return;
        else if (this.state.phase === 'refused') throw new Error(`${this.state.reason}`);
        else await new Promise<void>((resolve) => (this._more = resolve));
      }
    } finally {
      this.close();
    }
  }

  /** Tries at once instead of waiting; does nothing while a stream is open. */
  retryNow(): void {
    this._wake();
  }

  /** Ends the stream for good. The cursor stays in the storage. */
  close(): void {
    this._apply({ type: 'closed' });
    this._cut();
    this._wake();
    this._more();
    this._room();
  }

  private get _over(): boolean {
    return this.state.phase === 'closed';
  }

  private async _run(): Promise<void> {
    while (!this._over) {
      this._apply({ type: 'attempt' });
      try {
        await (this._options.transport === 'eventsource' ? this._listen() : this._read());
      } catch (error) {
        // `fetch` gives a TypeError for a broken connection. All else says what it is.
        const reason = error instanceof TypeError ? 'the connection broke' : `${error}`;
        this._apply({ type: error instanceof RefusedError ? 'refused' : 'ended', reason });
      }
      if (!this._over) await this._pause();
    }
  }

  private _apply(what: What): void {
    const before = this.state;
    this.state = advance(before, { ...what, at: performance.now() } as Signal);
    if (this.state !== before) call(() => this.changed(this.state, before));
    if (this.state.phase === 'refused') this._more();
  }

  private async _read(): Promise<void> {
    this._described = {};
    const dead = new AbortController();
    const silence = Math.min(this._options.silenceMs || SILENCE_MS, LONGEST_TIMER_MS);
    const cut = (this._cut = () => dead.abort(`nothing was heard for ${silence / 1000} s`));
    let timer = setTimeout(cut, silence);
    try {
      const response = await this._ask(dead.signal, true);
      const parser = new SseParser({
        block: (block) => this._received(block),
        retry: (milliseconds) => this._apply({ type: 'retry', milliseconds }),
      });
      if (this.state.phase !== 'connecting' || response.body === null) cut();
      else {
        const reader = response.body.getReader();
        const decoder = new TextDecoder();
        for (let part; !(part = await reader.read()).done;) {
          clearTimeout(timer);
          this._apply({ type: 'heard' });
          parser.push(decoder.decode(part.value, { stream: true }));
          if ((this._waiting?.length as number) > MOST_WAITING)
            await new Promise<void>((resolve) => (this._room = resolve));
          timer = setTimeout(cut, silence);
        }
      }
      this._end('the server closed the stream');
    } finally {
      clearTimeout(timer);
      cut();
    }
  }

  private async _ask(signal: AbortSignal, again: boolean): Promise<Response> {
    const headers: Record<string, string> = { Accept: 'text/event-stream' };
    // What a storage kept may be anything, and a header carries no line end. The service tells that it is malformed.
    if (this.state.cursor !== null) headers['Last-Event-ID'] = this.state.cursor.replace(/[^ -~]/g, '?');
    const query = this._query();
    let path = `/stream?${query}`;
    const request: RequestInit = { cache: 'no-store', signal };
    if (path.length > LONGEST_ADDRESS) {
      const { ticket, ...rest } = Object.fromEntries(query);
      path = `/stream?${withGiven(new URLSearchParams(), { ticket })}`;
      headers['Content-Type'] = 'application/json';
      request.method = 'POST';
      request.body = JSON.stringify({ ...rest, channel: query.getAll('channel') });
    }
    request.headers = await headersOf(this._options, headers);
    const response = await send(this._options, path, request);
    // A token that has just ended: what makes tokens gives another one.
    if (response.status === 401 && again && typeof this._options.token === 'function') {
      await response.body?.cancel();
      return this._ask(signal, false);
    }
    this._apply({
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
  private _listen(): Promise<void> {
    return new Promise((resolve) => {
      const source = new EventSource(
        address(
          this._options,
          `/stream?${this._query({ heartbeat: 'event', last_event_id: this.state.cursor ?? '' })}`,
        ),
      );
      const over = (reason: string): void => {
        source.close();
        this._end(reason);
        resolve();
      };
      this._cut = () => over('closed');
      // A browser repeats the last id where an event has none, as `meta` has none.
      // A broken connection is an event of the browser's own, named "error" and without data.
      const heard = ({ type, data, lastEventId }: MessageEvent<string | undefined>): void => {
        const id = lastEventId === this.state.cursor ? null : lastEventId || null;
        if (data !== undefined) this._received({ event: type, data, id });
      };
      for (const name of [...OWN, ...(this._options.types ?? [])]) source.addEventListener(name, heard);
      source.onerror = () => {
        // 0 is CONNECTING, 2 CLOSED
        if (source.readyState > 1) over('not text/event-stream');
        else if (!source.readyState) this._end('the connection broke'); // it connects again
      };
    });
  }

  private _query(more: Record<string, string> = {}): URLSearchParams {
    const { channels, from, last, since, query, meta, trace } = this._options;
    const found = new URLSearchParams(query);
    for (const channel of [channels].flat()) found.append('channel', channel);
    const begin = this.state.cursor ? {} : { from, last, since: (since as Date | undefined)?.toISOString?.() ?? since };
    return withGiven(found, { meta: meta ? 1 : '', trace: trace ? 1 : '', ...begin, ...more });
  }

  private _end(reason: string): void {
    this._apply({ type: 'ended', reason });
  }

  private _received(block: Block): void {
    if (this._over) return;
    this._apply({ type: 'block', block });
    // Events have an id: before `meta` belonged to the stream, a publisher could name one so.
    const own = block.id === null && this._describes(block.event, block.data);
    if (block.data !== null && block.event !== 'cursor' && !own) {
      const { channel, time, traceparent } = this._described;
      this._described = {};
      this._give(new StreamEvent(block.event, block.data, block.id, channel, time, traceparent));
    }
    // After the listeners: a page that is loaded again in between gets the event again, and never misses it.
    // A storage that is full, or closed to this page, keeps no cursor; the stream goes on.
    const { storage } = this._options;
    tried(() => {
      if (block.id) storage?.setItem(this._key, block.id);
      else if (block.id === '') storage?.removeItem(this._key);
    });
  }

  /** Keeps what a block says of the event that follows it; false for a block that is an event itself. */
  private _describes(name: string, data: string | null): boolean {
    if (name === 'meta' && this._options.meta) {
      const said = parsed(data);
      const time = new Date(textOf(said, 'time') ?? '');
      this._described.channel = textOf(said, 'channel');
      this._described.time = time.getTime() ? time : null;
      return true;
    }
    const traces = name === 'traceparent' && this._options.trace === true;
    if (traces) this._described.traceparent = data;
    return traces;
  }

  private _give(event: StreamEvent): void {
    this._waiting?.push(event);
    this._more();
    for (const listener of [...new Set([event.type, '*'])].flatMap((name) => [...(this._listeners.get(name) ?? [])]))
      call(() => listener(event as StreamEvent<never>));
  }

  private _pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.state.phase === 'refused' ? undefined : setTimeout(resolve, this.state.delayMs);
      this._wake = () => {
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

/**
 * Reader of an event stream by the WHATWG rules (HTML, section 9.2.6), with two things a browser's EventSource hides:
 * events of every name (EventSource only delivers names that were asked for), and blocks without data (the heartbeats).
 */
export interface Block {
  /** Name of the event; "message" when the block names none. */
  event: string;
  /** The data lines joined by LF, or null when the block has none: such a block is never an event. */
  data: string | null;
  /** The id this block carries, or null when it carries none. An empty string resets the cursor. */
  id: string | null;
}

/** An event of the service has at most 1 MiB; what goes on without a line end is no event stream. */
const LONGEST_LINE = 8 * 1024 * 1024;

export interface ParserHooks {
  block(block: Block): void;
  /** The server's reconnection time, in milliseconds. */
  retry(milliseconds: number): void;
}

export class SseParser {
  private _rest = '';
  private _endedInCarriageReturn = false;
  private _event = '';
  private _data: string[] = [];
  private _id: string | null = null;
  private readonly _hooks: ParserHooks;

  constructor(hooks: ParserHooks) {
    this._hooks = hooks;
  }

  /** Takes decoded text cut anywhere; the decoder strips a byte order mark. An unfinished block is never delivered. */
  push(text: string): void {
    if (!text) return;
    const lines = (this._endedInCarriageReturn ? text.replace(/^\n/, '') : text).split(/\r\n?|\n/);
    this._endedInCarriageReturn = text.endsWith('\r');
    const last = lines.pop() ?? '';
    for (const line of lines) {
      this._line(this._rest + line);
      this._rest = '';
    }
    this._rest += last;
    if (this._rest.length > LONGEST_LINE) throw new RangeError('an endless line');
  }

  private _line(line: string): void {
    if (!line) return this._dispatch();
    // A comment, which begins with a colon, has no name.
    const [, name, value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (name === 'event') this._event = value;
    else if (name === 'data') this._data.push(value);
    else if (name === 'id') {
      if (!value.includes('\0')) this._id = value;
    } else if (name === 'retry' && /^[0-9]+$/.test(value)) this._hooks.retry(Number(value));
  }

  private _dispatch(): void {
    const event = this._event;
    const data = this._data.length ? this._data.join('\n') : null;
    const id = this._id;
    this._event = '';
    this._data = [];
    this._id = null;
    if (event || data !== null || id !== null) this._hooks.block({ event: event || 'message', data, id });
  }
}

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
  private rest = '';
  private endedInCarriageReturn = false;
  private event = '';
  private data: string[] = [];
  private id: string | null = null;
  private fields = 0;
  private readonly hooks: ParserHooks;

  constructor(hooks: ParserHooks) {
    this.hooks = hooks;
  }

  /** Takes decoded text cut anywhere; the decoder strips a byte order mark. An unfinished block is never delivered. */
  push(text: string): void {
    if (text === '') return;
    let chunk = text;
    if (this.endedInCarriageReturn && chunk.startsWith('\n')) chunk = chunk.slice(1);
    this.endedInCarriageReturn = text.endsWith('\r');
    const lines = chunk.split(/\r\n|\r|\n/);
    const last = lines.pop() ?? '';
    for (const line of lines) {
      this.line(this.rest + line);
      this.rest = '';
    }
    this.rest += last;
    if (this.rest.length > LONGEST_LINE) throw new RangeError(`a line of more than ${LONGEST_LINE} characters`);
  }

  private line(line: string): void {
    if (line === '') {
      this.dispatch();
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon === -1 ? line : line.slice(0, colon);
    const raw = colon === -1 ? '' : line.slice(colon + 1);
    this.field(name, raw.startsWith(' ') ? raw.slice(1) : raw);
  }

  private field(name: string, value: string): void {
    if (name === 'event') this.event = value;
    else if (name === 'data') this.data.push(value);
    else if (name === 'id') {
      if (value.includes('\0')) return;
      this.id = value;
    } else if (name === 'retry') {
      if (/^[0-9]+$/.test(value)) this.hooks.retry(Number(value));
      return;
    } else return;
    this.fields += 1;
  }

  private dispatch(): void {
    const block: Block = {
      event: this.event || 'message',
      data: this.data.length > 0 ? this.data.join('\n') : null,
      id: this.id,
    };
    const something = this.fields > 0;
    this.event = '';
    this.data = [];
    this.id = null;
    this.fields = 0;
    if (something) this.hooks.block(block);
  }
}

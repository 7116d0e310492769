import { createParser } from 'eventsource-parser';
import { SseParser } from 'sse-platform-client';
import { describe, expect, it } from 'vitest';
import { GOLDENS, type Read } from '../../browser/goldens';

interface Seen {
  events: Read[];
  retry: number | undefined;
}

/** Our reader, after the decoder that takes the byte order mark off. */
function ours(...parts: string[]): Seen {
  const seen: Seen = { events: [], retry: undefined };
  let id = '';
  const parser = new SseParser({
    block: (block) => {
      id = block.id ?? id;
      if (block.data !== null) seen.events.push([block.event, block.data, id]);
    },
    retry: (milliseconds) => (seen.retry = milliseconds),
  });
  for (const part of parts) parser.push(part);
  return seen;
}

/** eventsource-parser as its own `eventsource` uses it. */
function theirs(text: string): Seen {
  const seen: Seen = { events: [], retry: undefined };
  let id = '';
  const parser = createParser({
    onEvent: (message) => {
      id = message.id ?? id;
      seen.events.push([message.event ?? 'message', message.data, id]);
    },
    onRetry: (milliseconds) => (seen.retry = milliseconds),
  });
  parser.feed(text);
  return seen;
}

/**
 * Where eventsource-parser 3.1.1 has a way of its own: it takes no cursor from a block without data, for which the
 * service has ?heartbeat=event, and holds a CR at the end back until more comes, where the service sends LF alone.
 */
const DIFFER = new Set(['a block with nothing but an id', 'CR', 'LF CR is two line ends']);

describe.each(GOLDENS)('$name', ({ name, stream, events, retry }) => {
  const text = new TextDecoder().decode(new TextEncoder().encode(stream));

  it('is read by our reader as the standard says, wherever it is cut', () => {
    for (let cut = 0; cut <= text.length; cut++)
      expect(ours(text.slice(0, cut), text.slice(cut))).toEqual({ events, retry });
  });

  it(`is read by eventsource-parser ${DIFFER.has(name) ? 'in its own way' : 'as the standard says'}`, () => {
    const seen = theirs(text);
    if (DIFFER.has(name)) expect(seen).not.toEqual({ events, retry });
    else expect(seen).toEqual({ events, retry });
  });
});

import { createParser } from 'eventsource-parser';
import { say, URL_ASKED } from './say.mjs';

// It only reads: who uses it brings the loop, the cursor and the wait.
let [cursor, retry] = ['', 2000];
for (;;) {
  const parser = createParser({
    onEvent({ event, data, id }) {
      cursor = id ?? cursor;
      say(event, data, id);
    },
    onRetry: (milliseconds) => (retry = milliseconds),
  });
  try {
    const response = await fetch(URL_ASKED, { headers: cursor ? { 'Last-Event-ID': cursor } : {} });
    const decoder = new TextDecoder();
    for await (const part of response.body) parser.feed(decoder.decode(part, { stream: true }));
  } catch {}
  await new Promise((resolve) => setTimeout(resolve, retry));
}

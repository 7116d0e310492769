import { say, URL_ASKED } from './say.mjs';

// It is made for pages, and asks for these two of a page.
globalThis.window = globalThis;
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
const { fetchEventSource } = await import('@microsoft/fetch-event-source');
await fetchEventSource(URL_ASKED, {
  openWhenHidden: true,
  onmessage: ({ event, data, id }) => say(event, data, id),
  onclose() {
    throw new Error('closed'); // its way to say: come back
  },
});

/** What every program here prints of an event; the rest is the library's business. */
export const URL_ASKED = process.argv[2];
export const NAMES = ['message', 'created', 'gap', 'bye', 'cursor'];
export const say = (event, data, id) => console.log(JSON.stringify({ event: event || 'message', data, id: id || '' }));

/** A client of sse.platform for browsers and Node: streams that resume, publishes that are safe to repeat, history. */
export * from './http.js';
export type { Block } from './parser.js';
export { SseParser } from './parser.js';
export { initialState, reasonOf, reconnects, type StreamState } from './state.js';
export * from './stream.js';

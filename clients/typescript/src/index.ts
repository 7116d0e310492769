/** A client of sse.platform for browsers and Node: streams that resume, publishes that are safe to repeat, history. */
export type { Access, History, HistoryOptions, KeptEvent, NewEvent, PublishOptions } from './http.js';
export { history, OutcomeUnknownError, publish, RefusedError } from './http.js';
export type { Block } from './parser.js';
export { SseParser } from './parser.js';
export type { StreamState } from './state.js';
export * from './stream.js';

import { createEventSource } from 'eventsource-client';
import { say, URL_ASKED } from './say.mjs';

createEventSource({ url: URL_ASKED, onMessage: ({ event, data, id }) => say(event, data, id) });

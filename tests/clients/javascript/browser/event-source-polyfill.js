import { EventSourcePolyfill } from 'event-source-polyfill';
import { listen } from './listen.js';

listen(new EventSourcePolyfill(window.url, { headers: { 'X-Page': 'mine' } }));

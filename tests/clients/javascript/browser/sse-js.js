import { SSE } from 'sse.js';
import { listen } from './listen.js';

listen(new SSE(window.url, { autoReconnect: true, useLastEventId: true }));

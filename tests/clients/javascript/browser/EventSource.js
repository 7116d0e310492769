import { listen } from './listen.js';

listen(new EventSource(window.url));

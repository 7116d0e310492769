import ReconnectingEventSource from 'reconnecting-eventsource';
import { listen } from './listen.js';

listen(new ReconnectingEventSource(window.url));

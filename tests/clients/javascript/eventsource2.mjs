import EventSource from 'eventsource2';
import { NAMES, say, URL_ASKED } from './say.mjs';

const source = new EventSource(URL_ASKED);
for (const name of NAMES) source.addEventListener(name, ({ type, data, lastEventId }) => say(type, data, lastEventId));

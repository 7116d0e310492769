import { EventSource } from 'launchdarkly-eventsource';
import { NAMES, say, URL_ASKED } from './say.mjs';

const source = new EventSource(URL_ASKED, { errorFilter: () => true });
for (const name of NAMES) source.addEventListener(name, ({ type, data, lastEventId }) => say(type, data, lastEventId));
source.onerror = () => {};

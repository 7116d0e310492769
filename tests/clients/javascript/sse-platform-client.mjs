import { EventStream } from '../../../clients/typescript/dist/index.js';
import { say, URL_ASKED } from './say.mjs';

const asked = new URL(URL_ASKED);
const stream = new EventStream({ url: asked.origin, channels: asked.searchParams.getAll('channel') });
stream.on('*', ({ type, data, id }) => say(type, data, id));

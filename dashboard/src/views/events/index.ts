import { soon } from '../soon';

export const view = soon('events', '3', 'Events', 'It will show events as they come.');

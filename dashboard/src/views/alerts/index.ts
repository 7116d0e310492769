import { soon } from '../soon';

export const view = soon('alerts', '6', 'Alerts', 'It will show what is wrong.');

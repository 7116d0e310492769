import { soon } from '../soon';

export const view = soon('load', '4', 'Load', 'It will test what the platform carries.');

import { soon } from '../soon';

export const view = soon('releases', '5', 'Releases', 'It will show what changed.');

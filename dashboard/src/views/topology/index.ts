import { soon } from '../soon';

export const view = soon('topology', '2', 'Topology', 'It will show who reaches whom.');

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a stream says by WHATWG HTML 9.2.6; `events` as [name, data, last event id]. The service's tests read the same. */
export interface Golden {
  name: string;
  stream: string;
  events: Read[];
  retry?: number;
}

export type Read = [event: string, data: string, lastEventId: string];

export const GOLDENS = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', '..', 'app', 'tests', 'goldens.json'), 'utf8'),
) as Golden[];

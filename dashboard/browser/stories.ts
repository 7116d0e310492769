import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Matrix, Releases, Topology } from '../src/logic/files';

/** The examples of what runs write, moved in time so that the newest of them was written a minute before `now`. */
const EXAMPLES = join(import.meta.dirname, '..', 'src', 'logic', 'examples');
const WRITTEN = Date.UTC(2026, 2, 3, 8, 20, 31);

export const topologyAt = (now: number): Topology => example('topology', now) as Topology;
export const matrixAt = (now: number): Matrix => example('matrix', now) as Matrix;
export const releasesAt = (now: number): Releases => example('releases', now) as Releases;

function example(name: string, now: number): unknown {
  const later = now - 60_000 - WRITTEN;
  const text = readFileSync(join(EXAMPLES, `${name}.json`), 'utf8');
  return JSON.parse(
    text.replace(/"(\d{4}-\d\d-\d\dT[\d:]+Z)"/g, (_, when: string) =>
      JSON.stringify(`${new Date(Date.parse(when) + later).toISOString().slice(0, 19)}Z`),
    ),
  );
}

import { isRecord } from './result';

/** The release that runs, by releases.json. */
export interface Running {
  stack: string;
  number: number;
  /** Seven characters; '' where the run did not know it. */
  commit: string;
  who: string;
  /** When it was made, in milliseconds since 1970. */
  when: number;
  why: string;
  changed: string;
  outcome: string;
}

/** Reads what a run wrote; null where the file is not there, or does not say it. */
export function runningRelease(file: unknown): Running | null {
  if (!isRecord(file) || !Array.isArray(file['releases'])) return null;
  const releases = file['releases'].filter(isRecord);
  const one = releases.find((release) => release['number'] === file['current']) ?? releases[0];
  if (one === undefined || typeof one['number'] !== 'number') return null;
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const changed = one['changed'];
  return {
    stack: text(file['stack']) || 'sse',
    number: one['number'],
    commit: text(one['commit']).slice(0, 7),
    who: text(one['who']),
    when: Date.parse(text(one['when'])) || Date.parse(text(file['time'])),
    why: text(one['why']),
    changed: Array.isArray(changed) ? changed.map(text).join(', ') : text(changed),
    outcome: text(one['outcome']),
  };
}

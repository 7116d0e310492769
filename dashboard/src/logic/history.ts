/** Releases and runs as one story, the newest first. Pure: releases.json in, entries out. */
import type { Change, Outcome, Releases, Run, Verification } from './files';
import { counted, listed } from './format';

export interface Entry {
  key: string;
  /** The number of the release that it made; null for a run that made none. */
  number: number | null;
  runsNow: boolean;
  outcome: Outcome;
  when: string;
  who: string;
  commit: string;
  asked: string;
  why: string;
  changed: string;
  changes: Change[];
  others: string[];
  error: string;
  seconds: number | null;
  verification: Verification | null;
  back: string;
}

export type Only = 'all' | 'releases' | 'failed' | 'others';

/** A release and the run that made it are one entry: both have the time at which the run began. */
export function entries(file: Releases): Entry[] {
  const runs = new Map(file.runs.map((one) => [one.when, one]));
  const releases = file.releases.map((one): Entry => {
    const run = runs.get(one.when);
    const more = { asked: '', error: '', seconds: null, others: [], ...run };
    return {
      key: String(one.number),
      number: one.number,
      runsNow: one.number === file.current,
      outcome: one.outcome === 'applying' && run !== undefined ? run.outcome : one.outcome,
      when: one.when,
      who: one.who,
      commit: one.commit,
      asked: more.asked,
      why: one.why,
      changed: one.changed,
      // The first release that is kept has nothing to be compared with, but the run says what it did.
      changes: one.changes.length > 0 ? one.changes : (run?.changes ?? []),
      others: more.others,
      error: more.error,
      seconds: more.seconds,
      verification: one.verification,
      back: one.back,
    };
  });
  const told = new Set(file.releases.map((one) => one.when));
  const others = file.runs.filter((one) => !told.has(one.when)).map(ofRun);
  return [...releases, ...others].sort((a, b) => Date.parse(b.when) - Date.parse(a.when) || 0);
}

function ofRun(run: Run): Entry {
  const made = run.outcome === 'applied' && run.after > run.before;
  return {
    ...run,
    key: `run ${run.when}`,
    number: made ? run.after : null,
    runsNow: false,
    changed: summary(run.changes, run.others),
    verification: null,
    back: '',
  };
}

const DONE: Record<string, string> = {
  mend: 'mended',
  reload: 'reloaded',
  create: 'created',
  replace: 'replaced',
  start: 'started',
  restart: 'restarted',
  remove: 'removed',
  restore: 'restored',
  clear: 'cleared',
};

/** What was done, by the kind of the action. */
export function done(kind: string): string {
  return DONE[kind] ?? kind;
}

/** What a run did, by kind: replaced app-1 and app-2; reloaded nginx. */
export function summary(changes: readonly Change[], others: readonly string[]): string {
  const kinds = new Map<string, string[]>();
  for (const { kind, container } of changes) kinds.set(kind, [...(kinds.get(kind) ?? []), container]);
  const parts = [...kinds].map(([kind, names]) =>
    names.length > 3 ? `${done(kind)} ${counted(names.length, 'container')}` : `${done(kind)} ${listed(names)}`,
  );
  return [...parts, ...others].join('; ') || 'nothing';
}

export function failed(one: Entry): boolean {
  return one.outcome === 'failed' || one.outcome === 'interrupted';
}

/** What is wrong with an entry though it was applied: the verification found something. */
export function doubtful(one: Entry): boolean {
  return !failed(one) && (one.verification?.findings.length ?? 0) > 0;
}

export function chosen(all: readonly Entry[], only: Only, text: string): Entry[] {
  const words = text.trim().toLowerCase();
  return all.filter((one) => {
    if (only === 'releases' && one.number === null) return false;
    if (only === 'failed' && !failed(one) && !doubtful(one)) return false;
    if (only === 'others' && (one.number !== null || failed(one))) return false;
    const said = [one.number, one.who, one.commit, one.asked, one.why, one.changed, one.error, one.outcome];
    const places = one.changes.flatMap((change) => [change.container, ...change.what]);
    return (
      words === '' ||
      [...said, ...places].some((part) =>
        String(part ?? '')
          .toLowerCase()
          .includes(words),
      )
    );
  });
}

/** The outcome in a word or two. */
export function outcomeWords(one: Entry): string {
  if (one.outcome === 'failed') return 'failed';
  if (one.outcome === 'interrupted' || one.outcome === 'applying') return 'interrupted';
  if (one.outcome === 'running') return 'is running';
  if (one.outcome === 'not known') return 'outcome not known';
  const findings = doubtful(one) ? `, ${counted(one.verification?.findings.length ?? 0, 'finding')}` : '';
  if (one.runsNow) return `runs now${findings}`;
  return one.number === null ? 'done' : `applied${findings}`;
}

/** What was verified, as one sentence; empty where nothing is known. */
export function verifiedWords({ verification }: Entry): string {
  if (verification === null) return '';
  const parts = Object.entries(verification.verified).map(([what, count]) => `${count} ${what}`);
  const found = verification.findings.length;
  return `${found === 0 ? 'All as it should be' : counted(found, 'finding')}${parts.length > 0 ? `, of ${listed(parts)}` : ''}.`;
}

import { csv, escapeHtml } from './exports';
import type { Percentiles } from './histogram';
import type { LoadPlan } from './load-plan';

/** What a load test has found, as it is kept. */
export interface Run extends LoadPlan {
  id: string;
  /** When it began: milliseconds since 1970. */
  at: number;
  /** How long it really published. */
  lasted: number;
  sent: number;
  accepted: number;
  /** Of `accepted` times `subscribers`: how many arrived. */
  seen: number;
  lost: number;
  twice: number;
  /** Until an event was seen by a subscriber, and until the service had answered its publish: milliseconds. */
  delivery: Percentiles;
  answer: Percentiles;
  /** How often each status was answered; "none" where nobody answered. */
  codes: Record<string, number>;
  replica: string | null;
  stopped: boolean;
}

const MOST_RUNS = 20;
const MOST_CHARACTERS = 200_000;

/** The newest runs first, bounded; what a storage holds may be anything, because other versions wrote it. */
export function runsOf(text: string | null): Run[] {
  try {
    const found: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(found) ? found.filter(isRun).slice(0, MOST_RUNS) : [];
  } catch {
    return [];
  }
}

export function keep(runs: readonly Run[], run: Run): { runs: Run[]; text: string } {
  let kept = [run, ...runs.filter((one) => one.id !== run.id)].slice(0, MOST_RUNS);
  let text = JSON.stringify(kept);
  while (text.length > MOST_CHARACTERS && kept.length > 1) {
    kept = kept.slice(0, -1);
    text = JSON.stringify(kept);
  }
  return { runs: kept, text };
}

const NUMBERS = [
  ...['at', 'lasted', 'rate', 'size', 'channels', 'subscribers', 'seconds'],
  ...['sent', 'accepted', 'seen', 'lost', 'twice'],
];

function isRun(value: unknown): value is Run {
  if (typeof value !== 'object' || value === null) return false;
  const run = value as Record<string, unknown>;
  const tables = ['delivery', 'answer', 'codes'].every((name) => typeof run[name] === 'object' && run[name] !== null);
  return typeof run['id'] === 'string' && tables && NUMBERS.every((name) => Number.isFinite(run[name]));
}

type Column = [name: string, of: (run: Run) => string | number | null, unit?: string];

const COLUMNS: Column[] = [
  ['began', (run) => new Date(run.at).toISOString()],
  ['events a second asked', (run) => run.rate],
  ['bytes', (run) => run.size],
  ['channels', (run) => run.channels],
  ['subscribers', (run) => run.subscribers],
  ['seconds asked', (run) => run.seconds],
  ['seconds lasted', (run) => Math.round(run.lasted / 100) / 10],
  ['sent', (run) => run.sent],
  ['accepted', (run) => run.accepted],
  ['events a second reached', (run) => reached(run)],
  ['seen', (run) => run.seen],
  ['lost', (run) => run.lost],
  ['twice', (run) => run.twice],
  ...(['p50', 'p90', 'p95', 'p99', 'p99.9', 'max'] as const).map((name): Column => [
    `delivery ${name} ms`,
    (run) => rounded(run.delivery[name]),
  ]),
  ...(['p50', 'p99'] as const).map((name): Column => [`answer ${name} ms`, (run) => rounded(run.answer[name])]),
  ['codes', (run) => codesOf(run)],
  ['stopped by hand', (run) => (run.stopped ? 'yes' : 'no')],
];

export function reached(run: Run): number | null {
  return run.lasted > 0 ? Math.round((run.accepted / run.lasted) * 10_000) / 10 : null;
}

export function codesOf(run: Pick<Run, 'codes'>): string {
  const found = Object.entries(run.codes).sort(([left], [right]) => left.localeCompare(right));
  return found.map(([code, count]) => `${code}: ${count}`).join(', ');
}

function rounded(value: number | null | undefined): number | null {
  return value === null || value === undefined ? null : Math.round(value * 100) / 100;
}

export function runsAsCsv(runs: readonly Run[]): string {
  return csv([COLUMNS.map(([name]) => name), ...runs.map((run) => COLUMNS.map(([, of]) => of(run)))]);
}

/** One file that needs nothing else: no script, no picture, nothing from anywhere. */
export function runsAsHtml(runs: readonly Run[], where: string): string {
  const head = runs.map((_, index) => `<th scope="col">${index === 0 ? 'newest' : `${index} before`}</th>`).join('');
  const rows = COLUMNS.map(([name, of]) => {
    const cells = runs.map((run) => `<td>${escapeHtml(String(of(run) ?? 'not known'))}</td>`).join('');
    return `<tr><th scope="row">${escapeHtml(name)}</th>${cells}</tr>`;
  }).join('\n');
  const most = Math.max(1, ...runs.map((run) => run.delivery['p99.9'] ?? 0));
  const bars = runs.map((run, index) => bar(run, index, most)).join('\n');
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width"><title>Load tests</title>
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:start;padding:.3rem .9rem .3rem 0;border-bottom:1px solid #8884}th{font-weight:550}
svg{width:100%;height:auto;max-width:40rem}text{font-size:11px;fill:currentColor}
</style>
<h1>Load tests</h1>
<p>Of ${escapeHtml(where)}, measured in a browser: from the moment before the publish to the moment a subscriber saw it.</p>
<h2>Delivery: p50, p99 and p99.9 in ms</h2>
<svg viewBox="0 0 400 ${runs.length * 40 + 4}" role="img" aria-label="p50, p99 and p99.9 of each run">
${bars}
</svg>
<h2>All figures</h2>
<table><thead><tr><td></td>${head}</tr></thead><tbody>
${rows}
</tbody></table></html>
`;
}

function bar(run: Run, index: number, most: number): string {
  const width = (value: number | null) => (((value ?? 0) / most) * 260).toFixed(1);
  const top = index * 40 + 4;
  const names = [
    ['p50', '#0a7d5d'],
    ['p99', '#2f6fd6'],
    ['p99.9', '#965600'],
  ] as const;
  return names
    .map(([name, color], line) => {
      const value = run.delivery[name];
      const label = `${name} ${rounded(value) ?? 'not known'}`;
      const place = Number(width(value)) + 4;
      return (
        `<rect x="0" y="${top + line * 11}" width="${width(value)}" height="9" fill="${color}"/>` +
        `<text x="${place}" y="${top + 8 + line * 11}">${label}</text>`
      );
    })
    .join('');
}

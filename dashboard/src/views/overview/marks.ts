import type { Mark } from '../../parts/chart';
import { hostOf } from '../../logic/parts';
import type { Range } from '../../logic/promjson';
import { isRecord } from '../../logic/result';

/** What happened in a span of time, to be marked in every chart. */
export function marksOf(
  releases: unknown,
  starts: Range | null,
  alerts: Range | null,
  from: number,
  to: number,
): Mark[] {
  const all = [...releaseMarks(releases), ...restartMarks(starts), ...alertMarks(alerts)];
  return all.filter((mark) => mark.at >= from && mark.at <= to).sort((left, right) => left.at - right.at);
}

function releaseMarks(file: unknown): Mark[] {
  if (!isRecord(file) || !Array.isArray(file['releases'])) return [];
  return file['releases'].filter(isRecord).flatMap((one) => {
    const at = Date.parse(String(one['when'])) / 1000;
    if (!Number.isFinite(at)) return [];
    const commit = typeof one['commit'] === 'string' && one['commit'] !== '' ? ` (${one['commit'].slice(0, 7)})` : '';
    return [{ at, kind: 'release' as const, words: `release ${String(one['number'])}${commit}` }];
  });
}

/** A replica that was there before and has another start is a restart; its first appearance is none. */
function restartMarks(starts: Range | null): Mark[] {
  return (starts?.series ?? []).flatMap(({ labels, values }) => {
    const found: Mark[] = [];
    let before: number | null = null;
    for (const value of values) {
      if (value === null) continue;
      if (before !== null && value > before + 1)
        found.push({ at: value, kind: 'restart', words: `${hostOf(labels['instance'] ?? 'a replica')} started anew` });
      before = value;
    }
    return found;
  });
}

/** Where an alert begins to fire. */
function alertMarks(alerts: Range | null): Mark[] {
  return (alerts?.series ?? []).flatMap(({ labels, values }) =>
    values.flatMap((value, index) => {
      const at = alerts?.times[index];
      const begins = value !== null && index > 0 && (values[index - 1] ?? null) === null;
      return begins && at !== undefined
        ? [{ at, kind: 'alert' as const, words: `alert ${labels['alertname'] ?? ''}` }]
        : [];
    }),
  );
}

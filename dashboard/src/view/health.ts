import { type Check, checksOf, flatten, type Outcome } from '../api';
import { age, counted, number } from '../format';
import { percentile, Recent } from '../latency';
import { element, rows, show, write } from './dom';

const STATS = 24;
/** Answers shown as bars: five minutes at one every five seconds. */
const STRIP = 60;
/** A bar of full height; ready checks that are that slow need a look. */
const TALL_MS = 1_000;
/** Replicas remembered: the platform's own limit of app_replicas. */
const REPLICAS = 64;

export class HealthCard {
  outcome: Outcome | null = null;
  checks: Check[] | null = null;
  private askedAt = 0;
  private readonly history = new Recent<{ ok: boolean; milliseconds: number }>(STRIP);

  answered(outcome: Outcome, at: number): void {
    this.outcome = outcome;
    this.checks = outcome.answer === null ? null : checksOf(outcome.answer.body, outcome.ok);
    this.askedAt = at;
    this.history.add({ ok: outcome.ok, milliseconds: outcome.answer?.milliseconds ?? TALL_MS });
    this.drawStrip();
  }

  draw(now: number): void {
    if (this.outcome === null) return;
    const [value, unit] = age(now - this.askedAt);
    show('health-when', `${value} ${unit} ago`);
    rows(element('checks'), 'check-row', this.checks ?? [], (row, check) => {
      const [, name, words] = row.children;
      row.className = check.verdict;
      if (name && words) {
        write(name, check.name);
        write(words, check.words);
      }
    });
    show('health-note', this.note(this.outcome));
  }

  private drawStrip(): void {
    const answers = this.history.all;
    const ready = answers.filter(({ ok }) => ok).map(({ milliseconds }) => milliseconds);
    rows(element('strip'), 'strip-bar', answers, (bar, { ok, milliseconds }) => {
      bar.className = ok ? '' : 'failed';
      // Logarithmic from 1 ms: a doubling looks the same wherever it happens.
      const height = Math.log10(Math.max(1, milliseconds)) / Math.log10(TALL_MS);
      if (bar instanceof HTMLElement) bar.style.height = `${Math.min(100, Math.max(12, height * 100))}%`;
    });
    const slowest =
      ready.length > 0 ? `, p50 ${number(percentile(ready, 50))} ms, slowest ${number(Math.max(...ready))} ms` : '';
    show('strip-note', `Ready ${ready.length} of the last ${counted(answers.length, 'time')}${slowest}.`);
  }

  private note({ answer, ok }: Outcome): string {
    if (answer === null) return 'Not available: nothing answered.';
    const by = answer.replica === null ? 'A server that doesn’t name itself' : answer.replica;
    const verdict = ok ? 'is ready' : `isn’t ready (HTTP ${answer.status})`;
    const checks = this.checks === null ? ' Checks: not available, the answer has none.' : '';
    return `${by} ${verdict}, answered in ${number(answer.milliseconds)} ms.${checks}`;
  }
}

/** Which replica answered this page, how often and how fast: only what X-Replica said. */
export class ReplicaCard {
  private readonly replicas = new Map<string, { answers: number; milliseconds: number; at: number }>();

  answered(outcome: Outcome, at: number): void {
    const replica = outcome.answer?.replica;
    if (!outcome.answer || !replica) return;
    const known = this.replicas.get(replica);
    if (known === undefined && this.replicas.size >= REPLICAS) return;
    this.replicas.set(replica, { answers: (known?.answers ?? 0) + 1, milliseconds: outcome.answer.milliseconds, at });
  }

  draw(streaming: string | null, now: number): void {
    const items = [...this.replicas].sort(([left], [right]) => left.localeCompare(right, 'en', { numeric: true }));
    const most = Math.max(1, ...items.map(([, replica]) => replica.answers));
    rows(element('replicas'), 'replica-row', items, (row, [name, { answers, milliseconds, at }]) => {
      const [title, words, meter] = row.children;
      if (!title || !words || !(meter instanceof HTMLMeterElement)) return;
      write(title, name === streaming ? `${name} · streaming` : name);
      write(words, `${counted(answers, 'answer')}, last ${age(now - at).join(' ')} ago in ${number(milliseconds)} ms`);
      meter.max = most;
      meter.value = answers;
      meter.ariaLabel = `share of answers of ${name}`;
    });
    if (items.length > 0)
      show('replicas-note', 'Counted from this page’s own requests; a replica that hasn’t answered isn’t listed.');
  }
}

export function drawStats(outcome: Outcome): void {
  const found = outcome.ok ? flatten(outcome.answer.body, STATS) : [];
  rows(element('stats'), 'stat-row', found, (row, [name, value]) => {
    const [term, words] = row.children;
    if (!term || !words) return;
    write(term, name.replaceAll(/[_.]/g, ' '));
    write(words, value);
  });
  show('stats-note', statsNote(outcome));
}

function statsNote(outcome: Outcome): string {
  if (outcome.ok) return `As ${outcome.answer.replica ?? 'the service'} counted them, /api/v1/stats.`;
  if (outcome.answer?.status === 404) return 'Not available: this version of the service has no /api/v1/stats.';
  return `Not available: ${outcome.failure.what}`;
}

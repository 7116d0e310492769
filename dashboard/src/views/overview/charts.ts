import type uPlot from 'uplot';
import { latency } from '../../logic/format';
import { type Heat, heatOf, quantiles } from '../../logic/heat';
import { hostOf } from '../../logic/parts';
import type { Range } from '../../logic/promjson';
import type { Span } from '../../logic/ranges';
import type { Result } from '../../logic/result';
import { Chart, compact, type Data } from '../../parts/chart';
import { h } from '../../parts/dom';
import { colour } from '../../parts/theme';
import { marksOf } from './marks';
import type { History } from './queries';

/** The bounds of the latency axis in seconds. */
const [FASTEST, SLOWEST] = [0.001, 10];
const SYNC = 'overview';

/** Events, latency and subscribers over the same time, with one crosshair and the same marks. */
export class Charts {
  readonly root: HTMLElement;
  private readonly events: Chart;
  private readonly latency: Chart;
  private readonly subscribers: Chart;
  private heat: Heat = { times: [], bounds: [], counts: [] };

  constructor(zoom: (from: number, to: number) => void) {
    const common = { sync: SYNC, zoom };
    const perSecond = (value: number): string => compact(value);
    this.events = new Chart({
      ...common,
      title: 'Events per second',
      note: 'published and delivered',
      format: perSecond,
      lines: [
        { label: 'published', colour: 'accent', fill: true },
        { label: 'delivered', colour: 'accent-2' },
      ],
    });
    this.latency = new Chart({
      ...common,
      title: 'Latency',
      note: 'from the log to the last subscriber',
      format: (value) => latency(value).join(' '),
      lines: [
        { label: 'p50', colour: 'text' },
        { label: 'p99', colour: 'warn', dash: [5, 3] },
      ],
      logarithmic: [FASTEST, SLOWEST],
      paint: (u) => paintHeat(u, this.heat),
    });
    this.subscribers = new Chart({
      ...common,
      title: 'Subscribers',
      note: 'by replica',
      whole: true,
      format: perSecond,
      lines: [],
    });
    this.root = h('div', { class: 'charts' }, this.events.root, this.latency.root, this.subscribers.root);
  }

  draw(history: History, span: Span, releases: unknown): void {
    const marks = marksOf(releases, rangeOr(history.starts), rangeOr(history.alerts), span.from, span.to);
    const [published, delivered] = [history.published, history.delivered];
    this.events.draw(merged([published, delivered]), marks, undefined, whyNot(published));
    this.heat = history.latency.ok ? heatOf(history.latency.value) : { times: [], bounds: [], counts: [] };
    const lines = [quantiles(this.heat, 0.5), quantiles(this.heat, 0.99)];
    this.latency.draw(
      { times: this.heat.times, values: lines },
      marks,
      undefined,
      whyNot(history.latency, 'Nothing was delivered in this time.'),
    );
    const { series, times } = rangeOr(history.subscribers) ?? { series: [], times: [] };
    const sorted = [...series].sort((left, right) =>
      nameOf(left).localeCompare(nameOf(right), 'en', { numeric: true }),
    );
    const tones = sorted.map((one, index) => ({ label: nameOf(one), colour: `tone-${(index % 8) + 1}` }));
    this.subscribers.draw(
      { times, values: sorted.map(({ values }) => values) },
      marks,
      tones,
      whyNot(history.subscribers),
    );
  }
}

function nameOf({ labels }: { labels: Record<string, string> }): string {
  return hostOf(labels['instance'] ?? 'not named');
}

function rangeOr(result: Result<Range>): Range | null {
  return result.ok ? result.value : null;
}

function merged(results: Result<Range>[]): Data {
  const ranges = results.map(rangeOr);
  return {
    times: ranges.find((one) => one !== null)?.times ?? [],
    values: ranges.map((one) => one?.series[0]?.values ?? []),
  };
}

function whyNot(result: Result<Range>, nothing = 'Prometheus has no values of this time.'): string {
  return result.ok ? nothing : `Not known: ${result.failure.what} ${result.failure.advice}`;
}

/** One cell for each bucket and step: the more observations, the stronger. */
function paintHeat(u: uPlot, { times, bounds, counts }: Heat): void {
  const most = counts.reduce(
    (high, bucket) => bucket.reduce<number>((top, count) => Math.max(top, count ?? 0), high),
    0,
  );
  if (most === 0 || times.length < 2) return;
  const { ctx, bbox } = u;
  const step = (times[1] ?? 0) - (times[0] ?? 0);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.fillStyle = colour('accent');
  for (const [bucket, bound] of bounds.entries()) {
    const top = u.valToPos(Math.min(SLOWEST, bound), 'y', true);
    const bottom = u.valToPos(Math.max(FASTEST, bounds[bucket - 1] ?? 0), 'y', true);
    for (const [index, count] of (counts[bucket] ?? []).entries()) {
      if (count === null || count < most / 1000) continue;
      const left = u.valToPos((times[index] ?? 0) - step, 'x', true);
      const right = u.valToPos(times[index] ?? 0, 'x', true);
      // The square root keeps rare, slow events visible beside many fast ones.
      ctx.globalAlpha = 0.08 + 0.72 * Math.sqrt(count / most);
      ctx.fillRect(left, top, Math.max(1, right - left - 1), Math.max(1, bottom - top - 1));
    }
  }
  ctx.restore();
}

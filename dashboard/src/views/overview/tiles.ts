import { ago, latency, NOTHING, number, percent } from '../../logic/format';
import { heatOf, quantiles } from '../../logic/heat';
import type { Range } from '../../logic/promjson';
import type { Result } from '../../logic/result';
import { h, write } from '../../parts/dom';
import { Sparkline } from '../../parts/sparkline';
import type { Vitals } from './queries';

class Tile {
  readonly root: HTMLElement;
  readonly figure = h('b', {}, NOTHING);
  readonly unit = h('small');
  readonly note = h('dd', { class: 'note' }, 'not asked yet');
  readonly spark = new Sparkline();

  constructor(title: string, unit: string, what: string, more: Node | null = null) {
    this.unit.textContent = unit;
    this.root = h(
      'div',
      { title: what },
      h('dt', {}, title),
      h('dd', {}, this.figure, ' ', this.unit, more),
      h('dd', { class: 'sparkbox' }),
      this.note,
    );
    this.root.querySelector('.sparkbox')?.append(this.spark.root);
  }
}

/** The figures of now, whatever time the charts show; each says from when it is, and a dash where nothing is known. */
export class Tiles {
  readonly root: HTMLElement;
  /** Streams at all replicas; null while that is not known. */
  subscribers: number | null = null;
  private readonly published = new Tile('Published', 'events/s', 'Events that the replicas read from the log');
  private readonly delivered = new Tile('Delivered', 'events/s', 'Events written to subscribers, by all replicas');
  private readonly p50 = h('span');
  private readonly p95 = h('span');
  private readonly latency = new Tile(
    'Latency, p99',
    'ms',
    'From the log to the last subscriber',
    h('span', { class: 'others' }, this.p50, ' · ', this.p95),
  );
  private readonly people = new Tile('Subscribers', '', 'Streams that are open, at all replicas');
  private readonly budget = new Tile('Error budget left', '', 'Of the objective that has the least left');

  constructor() {
    const all = [this.published, this.delivered, this.latency, this.people, this.budget];
    this.root = h('dl', { class: 'tiles' }, ...all.map((tile) => tile.root));
  }

  draw(vitals: Vitals, now: number): void {
    this.rate(this.published, vitals.published);
    this.rate(this.delivered, vitals.delivered);
    this.quantiles(vitals.latency);
    const streams = summed(vitals.subscribers);
    this.subscribers = last(streams);
    write(this.people.figure, number(this.subscribers));
    this.people.spark.draw(streams);
    this.errorBudget(vitals.budget);
    this.age(vitals, now);
  }

  /** Says how old each figure is, or why there is none. */
  age(vitals: Vitals | null, now: number): void {
    if (vitals === null) return;
    const results: [Tile, Result<Range>][] = [
      [this.published, vitals.published],
      [this.delivered, vitals.delivered],
      [this.latency, vitals.latency],
      [this.people, vitals.subscribers],
      [this.budget, vitals.budget],
    ];
    for (const [tile, result] of results) write(tile.note, noteOf(tile, result, now));
  }

  private rate(tile: Tile, result: Result<Range>): void {
    const values = summed(result);
    write(tile.figure, number(last(values)));
    tile.spark.draw(values);
  }

  private quantiles(result: Result<Range>): void {
    const heat = result.ok ? heatOf(result.value) : null;
    const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => (heat === null ? [] : quantiles(heat, share)));
    const [figure, unit] = latency(last(p99 ?? []));
    write(this.latency.figure, figure);
    write(this.latency.unit, unit);
    const words = (values: (number | null)[] | undefined): string =>
      latency(last(values ?? []))
        .join(' ')
        .trim();
    write(this.p50, `p50 ${words(p50)}`);
    write(this.p95, `p95 ${words(p95)}`);
    this.latency.spark.draw(p99 ?? []);
  }

  private errorBudget(result: Result<Range>): void {
    const series = result.ok ? result.value.series : [];
    const times = result.ok ? result.value.times : [];
    const worst = times.map((_, index) => least(series.map(({ values }) => values[index] ?? null)));
    const left = last(worst);
    write(this.budget.figure, percent(left === null ? null : Math.max(0, left)));
    write(this.budget.unit, left !== null && left < 0 ? `used ${number(1 - left)} times` : '');
    this.budget.spark.draw(worst);
  }
}

function noteOf(tile: Tile, result: Result<Range>, now: number): string {
  if (!result.ok) return `not known: ${result.failure.what}`;
  if (tile.figure.textContent === NOTHING) {
    const none = result.value.series.length === 0;
    return none ? 'not known: Prometheus has no such series' : 'nothing was observed just now';
  }
  return `Prometheus, ${ago(now - result.at)}`;
}

/** The sum of all series at each step; null where no series has a value. */
function summed(result: Result<Range>): (number | null)[] {
  if (!result.ok) return [];
  const { times, series } = result.value;
  return times.map((_, index) =>
    series.reduce<number | null>((sum, { values }) => {
      const value = values[index] ?? null;
      return value === null ? sum : (sum ?? 0) + value;
    }, null),
  );
}

function least(values: (number | null)[]): number | null {
  return values.reduce((low, value) => (value !== null && (low === null || value < low) ? value : low), null);
}

/** The newest value; the running step may not have one yet. */
function last(values: readonly (number | null)[]): number | null {
  return values.at(-1) ?? values.at(-2) ?? null;
}

import '../../style/overview.css';
import { ago } from '../../logic/format';
import { h, write } from '../../parts/dom';
import { lastOf, rangeOf, RANGES, type Span, spanOf } from '../../logic/ranges';
import type { Mounted, Room, View } from '../view';
import { Charts } from './charts';
import { Lead } from './lead';
import { Probe } from './probe';
import { askHistory, askReplicas, askVitals, type History, type Vitals } from './queries';
import { Replicas } from './replicas';
import { Tiles } from './tiles';

/** Charts are asked for anew this often at least; a longer step is reason to wait longer. */
const REFRESH_MS = 5_000;
const LONGEST_REFRESH_MS = 60_000;
const FIGURES_MS = 5_000;
const HINTS = {
  zoomed: 'A part that you chose. Escape goes back.',
  moving: 'Drag over a chart to zoom, or press + in it.',
};
/** The seconds between two scrapes, until Prometheus says it. */
const SCRAPE = 5;

export const view: View = {
  name: 'overview',
  key: '1',
  title: 'Overview',
  mount: (root, room) => new Overview(root, room),
};

class Overview implements Mounted {
  private readonly lead = new Lead();
  private readonly tiles = new Tiles();
  private readonly charts: Charts;
  private readonly replicas = new Replicas();
  private readonly probe: Probe;
  private readonly hint = h('p', { class: 'note' });
  private readonly ranges = h('div', { class: 'ranges', role: 'group', 'aria-label': 'Time that is shown' });
  private parameters = new URLSearchParams();
  private history: History | null = null;
  private vitals: Vitals | null = null;
  private ends: (() => void)[] = [];
  private timers: ReturnType<typeof setTimeout>[] = [];
  private shown = 0;
  private asked = false;
  private turn = 0;
  private search = '';

  constructor(
    root: HTMLElement,
    private readonly room: Room,
  ) {
    this.charts = new Charts((from, to) => this.zoom(from, to));
    this.probe = new Probe(room.api, room.stream);
    root.append(this.lead.root, this.tiles.root, this.ranges, this.charts.root, this.replicas.root, this.probe.root);
    room.search((text) => {
      this.search = text;
      this.drawParts();
    });
    room.escape(() => {
      if (!this.parameters.has('from')) return false;
      this.room.go('overview', { range: rangeOf(this.parameters.get('range')).name });
      return true;
    });
  }

  show(parameters: URLSearchParams): void {
    this.parameters = parameters;
    this.drawRanges();
    this.hide();
    const mine = ++this.shown;
    this.ends = [this.room.platform.changed(() => this.drawParts()), this.room.clock.each(() => this.drawParts())];
    this.drawParts();
    void this.refresh(mine);
    if (!this.chartsAreNow) void this.present(mine);
    void this.figures(mine);
  }

  hide(): void {
    this.shown += 1;
    for (const end of this.ends) end();
    for (const timer of this.timers) clearTimeout(timer);
    [this.ends, this.timers] = [[], []];
  }

  private get span(): Span {
    return spanOf(this.parameters, this.room.clock.now() / 1000);
  }

  private get every(): number {
    const targets = this.room.platform.targets.value ?? [];
    return targets.find((one) => one.job === 'app' && one.every > 0)?.every ?? SCRAPE;
  }

  /** Whether the charts show the last minutes: then the tiles need nothing else. */
  private get chartsAreNow(): boolean {
    return !this.parameters.has('from') && rangeOf(this.parameters.get('range')) === RANGES[0];
  }

  private async refresh(mine: number): Promise<void> {
    const { span } = this;
    if (!document.hidden) {
      const history = await askHistory(this.room.prometheus, span, this.every);
      if (mine !== this.shown) return;
      this.history = history;
      this.charts.draw(history, span, this.room.platform.releases.value);
      if (this.chartsAreNow) this.drawVitals(history);
      this.drawParts();
    }
    const wait = span.moving ? Math.min(LONGEST_REFRESH_MS, Math.max(REFRESH_MS, span.step * 500)) : LONGEST_REFRESH_MS;
    this.timers[0] = setTimeout(() => void this.refresh(mine), wait);
  }

  /** The tiles are about now, also where the charts show a part of the past, or days. */
  private async present(mine: number): Promise<void> {
    if (!document.hidden) {
      const span = lastOf(RANGES[0].seconds, this.room.clock.now() / 1000);
      const vitals = await askVitals(this.room.prometheus, span, this.every);
      if (mine !== this.shown) return;
      this.drawVitals(vitals);
      this.drawParts();
    }
    this.timers[2] = setTimeout(() => void this.present(mine), REFRESH_MS);
  }

  private drawVitals(vitals: Vitals): void {
    this.vitals = vitals;
    this.tiles.draw(vitals, this.room.clock.now());
  }

  private async figures(mine: number): Promise<void> {
    const turn = ++this.turn;
    if (!document.hidden) {
      this.asked = this.down;
      const figures = await askReplicas(this.room.prometheus, this.every, this.asked);
      if (mine !== this.shown || turn !== this.turn) return;
      this.replicas.figures = figures;
      this.drawParts();
    }
    this.timers[1] = setTimeout(() => void this.figures(mine), FIGURES_MS);
  }

  /** Whether a replica is down: then it is asked when it was up last. */
  private get down(): boolean {
    return (this.room.platform.replicas.value ?? []).some((one) => one.state === 'bad');
  }

  private drawParts(): void {
    if (this.down && !this.asked) {
      clearTimeout(this.timers[1]);
      void this.figures(this.shown);
    }
    const now = this.room.clock.now();
    this.lead.draw(this.room.platform, this.tiles.subscribers, now);
    this.tiles.age(this.vitals, now);
    this.replicas.draw(this.room.platform, this.search, now);
    write(this.hint, `${this.drawnFrom(now)}${HINTS[this.parameters.has('from') ? 'zoomed' : 'moving']}`);
  }

  /** Where the charts are from, and how old they are; each of them says itself why it has nothing. */
  private drawnFrom(now: number): string {
    const known = Object.values(this.history ?? {}).find((one) => one.ok);
    return known?.ok === true ? `Charts: Prometheus, ${ago(now - known.at)}. ` : '';
  }

  private drawRanges(): void {
    const chosen = rangeOf(this.parameters.get('range'));
    const zoomed = this.parameters.has('from');
    const buttons = RANGES.map((range) => {
      const button = h('button', { type: 'button', 'aria-pressed': String(range === chosen && !zoomed) }, range.title);
      button.addEventListener('click', () =>
        this.room.go('overview', range.name === '15m' ? {} : { range: range.name }),
      );
      return button;
    });
    this.ranges.replaceChildren(...buttons, this.hint);
  }

  private zoom(from: number, to: number): void {
    const range = rangeOf(this.parameters.get('range')).name;
    this.room.go('overview', { range, from: String(Math.floor(from)), to: String(Math.ceil(to)) });
  }
}

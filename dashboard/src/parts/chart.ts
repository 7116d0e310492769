import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { number } from '../logic/format';
import { attribute, h, write } from './dom';
import { colour, onTheme } from './theme';

/** A moment to remember under a chart: a release, a restart, the beginning of an alert. */
export interface Mark {
  /** Seconds since 1970. */
  at: number;
  kind: 'release' | 'restart' | 'alert';
  words: string;
}

export interface Line {
  label: string;
  /** A colour of the theme: accent, accent-2, warn, bad, soft, or tone-1 to tone-8. */
  colour: string;
  fill?: boolean;
  dash?: number[];
}

export interface ChartOptions {
  title: string;
  /** What a value is, for the axis and the reading: '12 ms'. */
  format(value: number): string;
  lines: Line[];
  /** Stands beside the title while nothing is pointed at. */
  note?: string;
  height?: number;
  /** Charts of the same name share one crosshair. */
  sync?: string;
  /** Called with the seconds that were dragged over, or that + has chosen around the crosshair. */
  zoom?: (from: number, to: number) => void;
  /** Draws under the lines: a heatmap, for example. */
  paint?: (u: uPlot) => void;
  /** Values are counts, so the axis has whole numbers only. */
  whole?: boolean;
  /** A logarithmic axis with these bounds; without it, from 0 to a little above the largest value. */
  logarithmic?: [least: number, most: number];
}

export interface Data {
  /** Seconds since 1970. */
  times: readonly number[];
  /** One list for each line; null is a hole, and drawn as one. */
  values: readonly (readonly (number | null)[])[];
}

const TONES: Record<string, Mark['kind'][]> = { 'accent-2': ['release'], warn: ['restart'], bad: ['alert'] };

/** A chart over time by uPlot, in the colours of the page, with a reading in words for those who do not see it. */
export class Chart {
  readonly root: HTMLElement;
  private plot: uPlot | null = null;
  private data: Data = { times: [], values: [] };
  private lines: Line[];
  private marks: readonly Mark[] = [];
  private why = 'Not asked yet.';
  private readonly canvas = h('div', { class: 'canvas' });
  private readonly reading = h('p', { class: 'readout' });
  private readonly empty = h('p', { class: 'hole' });
  private readonly legend = h('ul', { class: 'legend' });
  private readonly summary = h('p', { class: 'unseen' });
  private readonly watcher = new ResizeObserver(() => this.resize());
  private readonly endTheme: () => void;

  constructor(private readonly options: ChartOptions) {
    this.lines = options.lines;
    const title = h('h2', {}, options.title);
    this.root = h(
      'section',
      { class: 'card chart', 'aria-label': options.title },
      h('div', { class: 'head' }, title, this.reading),
      this.canvas,
      this.empty,
      this.legend,
      this.summary,
    );
    this.canvas.style.height = `${this.height}px`;
    if (options.zoom !== undefined) this.takeKeys();
    this.watcher.observe(this.canvas);
    this.endTheme = onTheme(() => this.build());
    write(this.reading, options.note ?? '');
    this.hole();
  }

  /** Draws these values; without a value at all, `why` says so in their place. */
  draw(data: Data, marks: readonly Mark[] = [], lines?: Line[], why = 'No values in this time.'): void {
    const other =
      lines !== undefined && lines.map((line) => line.label).join() !== this.lines.map((line) => line.label).join();
    if (lines !== undefined) this.lines = lines;
    this.data = data;
    this.marks = marks;
    this.why = why;
    if (this.plot === null || other) this.build();
    else this.plot.setData(this.aligned, true);
    this.hole();
    this.tell();
  }

  /** Says why there are no values. */
  missing(why: string): void {
    this.draw({ times: [], values: [] }, [], undefined, why);
  }

  destroy(): void {
    this.watcher.disconnect();
    this.endTheme();
    this.plot?.destroy();
    this.plot = null;
  }

  private get height(): number {
    return this.options.height ?? 190;
  }

  private get aligned(): uPlot.AlignedData {
    const values = this.lines.map((_, index) => (this.data.values[index] ?? []) as (number | null)[]);
    return [this.data.times as number[], ...values];
  }

  private build(): void {
    this.plot?.destroy();
    this.plot = null;
    const { times } = this.data;
    this.keys();
    if (times.length === 0 || this.canvas.clientWidth === 0) return;
    this.plot = new uPlot(this.settings(), this.aligned, this.canvas);
    // Its own legend is off, and what it draws is for eyes: the sentence below says the same.
    this.plot.root.setAttribute('aria-hidden', 'true');
  }

  private settings(): uPlot.Options {
    const [line, soft] = [colour('line'), colour('soft')];
    const font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { stroke: soft, font, ticks: { show: false }, grid: { stroke: line, width: 1, dash: [2, 4] } };
    const { format, sync, zoom, logarithmic, paint, whole } = this.options;
    return {
      width: this.canvas.clientWidth,
      height: this.height,
      padding: [8, 20, 0, 0],
      legend: { show: false },
      cursor: {
        points: { size: 7 },
        drag: { x: zoom !== undefined, y: false, setScale: false },
        ...(sync === undefined ? {} : { sync: { key: sync } }),
      },
      scales: {
        y:
          logarithmic === undefined
            ? { range: (_, __, most) => [0, most > 0 ? most * 1.12 : 1] }
            : { distr: 3, range: () => logarithmic },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 26, space: 70, values: TIMES },
        {
          ...axis,
          size: 58,
          space: 34,
          values: (_, splits) => splits.map((value) => format(value)),
          ...(whole === true ? { incrs: WHOLE } : {}),
          ...(logarithmic === undefined
            ? {}
            : { splits: () => decades(logarithmic), filter: (_: uPlot, all: number[]) => all }),
        },
      ],
      series: [{}, ...this.lines.map((one) => this.series(one))],
      hooks: {
        setSelect: [(u) => this.selected(u)],
        setCursor: [(u) => this.point(u.cursor.idx ?? null)],
        drawClear: paint === undefined ? [] : [paint],
        draw: [(u) => this.drawMarks(u)],
      },
    };
  }

  private series(line: Line): uPlot.Series {
    const stroke = colour(line.colour);
    return {
      label: line.label,
      stroke,
      width: 1.75,
      spanGaps: false,
      points: { show: false },
      ...(line.fill === true ? { fill: stroke.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.14)') } : {}),
      ...(line.dash === undefined ? {} : { dash: line.dash }),
    };
  }

  private resize(): void {
    if (this.plot === null) this.build();
    else if (this.canvas.clientWidth > 0) this.plot.setSize({ width: this.canvas.clientWidth, height: this.height });
  }

  /** What the pointer does, by keyboard: arrows move the crosshair, and + zooms in there. */
  private takeKeys(): void {
    const keys = 'Left and Right move the crosshair, plus zooms in.';
    for (const [name, value] of Object.entries({ tabindex: '0', role: 'group', 'aria-label': keys }))
      attribute(this.canvas, name, value);
    this.canvas.addEventListener('keydown', (event) => this.key(event));
    this.canvas.addEventListener('blur', () => this.plot?.setCursor({ left: -10, top: -10 }));
  }

  private key(event: KeyboardEvent): void {
    const { plot } = this;
    const last = this.data.times.length - 1;
    if (plot === null || last < 1 || event.ctrlKey || event.metaKey || event.altKey) return;
    const index = plot.cursor.idx ?? last;
    const places: Record<string, number> = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: last };
    const place = places[event.key];
    const at = (which: number): number => this.data.times[Math.max(0, Math.min(last, which))] ?? 0;
    if (place !== undefined) {
      attribute(this.reading, 'aria-live', 'polite');
      const to = { left: plot.valToPos(at(place), 'x'), top: plot.over.clientHeight / 2 };
      // Its types leave out that it can tell the charts with the same crosshair, too.
      (plot.setCursor as (to: { left: number; top: number }, fire: boolean, tell: boolean) => void)(to, true, true);
    } else if (event.key === '+') {
      const quarter = (at(last) - at(0)) / 4;
      const middle = Math.max(at(0) + quarter, Math.min(at(last) - quarter, at(index)));
      this.options.zoom?.(middle - quarter, middle + quarter);
    } else return;
    event.preventDefault();
  }

  private selected(u: uPlot): void {
    const { left, width } = u.select;
    if (width < 6) return;
    const [from, to] = [u.posToVal(left, 'x'), u.posToVal(left + width, 'x')];
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.options.zoom?.(from, to);
  }

  private drawMarks(u: uPlot): void {
    const { ctx, bbox } = u;
    for (const [tone, kinds] of Object.entries(TONES)) {
      ctx.strokeStyle = colour(tone);
      ctx.fillStyle = ctx.strokeStyle;
      ctx.lineWidth = devicePixelRatio;
      for (const mark of this.marks.filter((one) => kinds.includes(one.kind))) {
        const x = Math.round(u.valToPos(mark.at, 'x', true));
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        ctx.setLineDash([3, 3]);
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
        ctx.setLineDash([]);
        const size = 4 * devicePixelRatio;
        ctx.beginPath();
        ctx.moveTo(x - size, bbox.top);
        ctx.lineTo(x + size, bbox.top);
        ctx.lineTo(x, bbox.top + size * 1.4);
        ctx.fill();
      }
    }
  }

  /** Says what is under the crosshair, and which mark is near it. */
  private point(index: number | null): void {
    const at = index === null ? undefined : this.data.times[index];
    if (index === null || at === undefined) {
      write(this.reading, this.options.note ?? '');
      return;
    }
    const values = this.lines
      .map((line, which) => ({ line, value: this.data.values[which]?.[index] ?? null }))
      .slice(0, 5)
      .map(({ line, value }) => `${line.label} ${value === null ? '–' : this.options.format(value)}`);
    const step = (this.data.times[1] ?? 0) - (this.data.times[0] ?? 0);
    const near = this.marks.filter((mark) => Math.abs(mark.at - at) <= step * 1.5).map((mark) => mark.words);
    write(this.reading, [moment(at), ...values, ...near].join(' · '));
  }

  private hole(): void {
    const nothing = !this.data.values.some((list) => list.some((value) => value !== null));
    this.empty.hidden = !nothing;
    this.canvas.hidden = nothing;
    write(this.empty, nothing ? this.why : '');
    if (!nothing && this.plot === null) this.build();
  }

  private keys(): void {
    this.legend.hidden = this.lines.length < 2;
    this.legend.replaceChildren(
      ...this.lines.map((line) => {
        const tone = h('i');
        tone.style.background = `var(--${line.colour})`;
        return h('li', {}, tone, line.label);
      }),
    );
  }

  private tell(): void {
    const told = this.lines.map((line, index) => {
      const known = (this.data.values[index] ?? []).filter((value) => value !== null);
      if (known.length === 0) return `${line.label}: not known`;
      const [last, most] = [known.at(-1) ?? 0, known.reduce((high, value) => Math.max(high, value), 0)];
      return `${line.label}: last ${this.options.format(last)}, most ${this.options.format(most)}`;
    });
    write(this.summary, `${this.options.title}. ${told.join('; ')}.`);
  }
}

/** The time of day, and the date where the day begins or the chart is long. */
const TIMES: uPlot.Axis.DynamicValues = (_, splits, __, ___, step) =>
  splits.map((at) => {
    const date = new Date(at * 1000);
    const midnight = date.getHours() === 0 && date.getMinutes() === 0;
    if (step >= 86_400 || midnight) return `${date.getDate()} ${MONTHS[date.getMonth()]}`;
    const [hours, minutes] = [date.getHours(), date.getMinutes()].map((one) => String(one).padStart(2, '0'));
    return step < 60 ? `${hours}:${minutes}:${String(date.getSeconds()).padStart(2, '0')}` : `${hours}:${minutes}`;
  });

const WHOLE = Array.from({ length: 27 }, (_, index) => ([1, 2, 5][index % 3] ?? 1) * 10 ** Math.floor(index / 3));

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function moment(at: number): string {
  const date = new Date(at * 1000);
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((one) => String(one).padStart(2, '0'))
    .join(':');
  const today = new Date().toDateString() === date.toDateString();
  return today ? time : `${date.getDate()} ${MONTHS[date.getMonth()]} ${time}`;
}

/** The powers of ten between two bounds. */
function decades([least, most]: [number, number]): number[] {
  const found: number[] = [];
  for (let power = Math.ceil(Math.log10(least) - 1e-9); 10 ** power <= most * 1.000001; power += 1)
    found.push(10 ** power);
  return found;
}

/** A short form of a number for an axis: 1.2 k. */
export function compact(value: number): string {
  if (value >= 1_000_000) return `${number(value / 1_000_000)} M`;
  return value >= 10_000 ? `${number(value / 1000)} k` : number(value);
}

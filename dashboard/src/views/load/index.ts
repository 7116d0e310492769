import '../../style/events.css';
import '../../style/load.css';
import { counted, length, number } from '../../logic/format';
import { percentiles } from '../../logic/histogram';
import { type Bounds, boundsOf, type LoadPlan, mostSubscribers, refused, SMALLEST } from '../../logic/load-plan';
import { codesOf } from '../../logic/runs';
import { h, write } from '../../parts/dom';
import { button, type Field, field } from '../../parts/field';
import type { Mounted, Room, View } from '../view';
import { LoadTest, type Second } from './engine';
import { History } from './history';
import { picture } from './picture';

const DRAW_MS = 250;
const FIELDS: [name: keyof LoadPlan, label: string, value: number][] = [
  ['rate', 'Events a second', 50],
  ['size', 'Bytes of data', 200],
  ['channels', 'Channels', 1],
  ['subscribers', 'Subscribers', 2],
  ['seconds', 'Seconds', 10],
];
const FIGURES = ['Sent', 'Accepted', 'Seen', 'p50', 'p90', 'p95', 'p99', 'p99.9', 'Slowest'] as const;

class LoadView implements Mounted {
  private bounds: Bounds | null = null;
  private why = '';
  private test: LoadTest | null = null;
  /** Of the test that runs, or of the last one. */
  private seconds: Second[] = [];
  private plan: LoadPlan | null = null;
  private timer: ReturnType<typeof setInterval> | undefined;
  private readonly fields = new Map<keyof LoadPlan, Field<HTMLInputElement>>();
  private readonly figures = new Map<string, HTMLElement>();
  private readonly general = h('p', { class: 'wrong', role: 'alert', id: 'load-wrong' });
  private readonly cap = h('p', { class: 'note', id: 'load-cap' });
  private readonly status = h('p', { class: 'state', role: 'status', id: 'load-state' }, 'No test runs.');
  private readonly bar = h('progress', { max: '1', value: '0', 'aria-label': 'How much of the test is done' });
  private readonly codes = h('p', { class: 'note', id: 'load-codes' });
  private readonly canvas = h('div', { class: 'canvas' });
  private readonly begin = h('button', { class: 'main', id: 'load-start' }, 'Start the test');
  private readonly stop: HTMLButtonElement;
  private readonly history = new History();

  constructor(
    root: HTMLElement,
    private readonly room: Room,
  ) {
    this.stop = button('Stop', () => this.test?.stop(), { id: 'load-stop' });
    this.stop.hidden = true;
    for (const [name, label, value] of FIELDS) {
      const control = h('input', { type: 'number', inputmode: 'numeric', min: '1', step: '1', value: String(value) });
      control.addEventListener('input', () => this.judge());
      this.fields.set(name, field(`load-${name}`, label, control, ' '));
    }
    const form = h(
      'form',
      { class: 'stacked', novalidate: true },
      h('div', { class: 'asked' }, ...[...this.fields.values()].map((one) => one.root)),
      this.general,
      h('div', { class: 'actions' }, this.begin, this.stop),
      this.cap,
    );
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.start();
    });
    const tiles = FIGURES.map((name) => {
      const value = h('b', {}, '–');
      this.figures.set(name, value);
      const unit = name === 'Sent' || name === 'Accepted' || name === 'Seen' ? '' : 'ms';
      return h('div', {}, h('dt', {}, name), h('dd', {}, value, ' ', h('small', {}, unit)));
    });
    root.append(
      h('h1', { class: 'unseen' }, 'Load'),
      h(
        'section',
        { class: 'card', 'aria-labelledby': 'load-title' },
        h('div', { class: 'head' }, h('h2', { id: 'load-title' }, 'Load test of this platform, from this browser')),
        form,
      ),
      h(
        'section',
        { class: 'card live', 'aria-labelledby': 'live-title' },
        h('div', { class: 'head' }, h('h2', { id: 'live-title' }, 'Now'), this.status),
        this.bar,
        h('dl', { class: 'tiles' }, ...tiles),
        this.codes,
        this.canvas,
      ),
      this.history.root,
    );
    room.escape(() => {
      this.test?.stop();
      return this.test !== null;
    });
    room.api.onToken(() => void this.ask());
    new ResizeObserver(() => this.drawSeconds()).observe(this.canvas);
  }

  show(parameters: URLSearchParams): void {
    for (const [name, one] of this.fields) {
      const value = parameters.get(name);
      if (value !== null) one.control.value = value;
    }
    this.judge();
    void this.ask();
  }

  /** A test goes on while another view is looked at: leaving it alone must not falsify it. */
  hide(): void {}

  private async ask(): Promise<void> {
    const outcome = await this.room.api.request('/api/v1/limits');
    this.bounds = outcome.ok ? boundsOf(outcome.answer.body) : null;
    this.why = outcome.ok ? '' : `${outcome.failure.what} ${outcome.failure.advice}`;
    this.judge();
  }

  private asked(): LoadPlan {
    const found = Object.fromEntries([...this.fields].map(([name, one]) => [name, one.control.valueAsNumber]));
    return found as unknown as LoadPlan;
  }

  /** Says beside each field what is wrong with it, and what its limit is. */
  private judge(): boolean {
    const [plan, protocol] = [this.asked(), protocolOf()];
    const wrong = refused(plan, this.bounds, protocol);
    for (const [name, one] of this.fields) one.wrong(this.bounds === null ? '' : (wrong[name] ?? ''));
    write(this.general, this.bounds === null && this.why !== '' ? `The limits are not known. ${this.why}` : '');
    const { bounds } = this;
    if (bounds === null) return false;
    const most = mostSubscribers(protocol, bounds);
    const hints: Partial<Record<keyof LoadPlan, string>> = {
      size: `${SMALLEST} to ${number(bounds.eventBytes - 20)}`,
      channels: '1 to 100',
      subscribers: `1 to ${most.most}`,
    };
    if (bounds.loadTest !== null) {
      hints.rate = `1 to ${number(bounds.loadTest.eventsPerSecond)}`;
      hints.seconds = `1 to ${number(bounds.loadTest.seconds)}`;
    }
    for (const [name, one] of this.fields) one.hint(hints[name] ?? '');
    const rate =
      bounds.loadTest === null
        ? 'It refuses load tests.'
        : `It answers 429 to all that is over ${number(bounds.loadTest.eventsPerSecond)} events a second of all load tests together.`;
    write(
      this.cap,
      `The limits are those of the service (GET /api/v1/limits). ${rate} Subscribers: ${most.why}. For more of them, bench/ measures with programs.`,
    );
    return Object.keys(wrong).length === 0;
  }

  private async start(): Promise<void> {
    if (this.test !== null) return;
    await this.ask();
    if (!this.judge() || this.bounds === null) {
      [...this.fields.values()].find((one) => one.control.hasAttribute('aria-invalid'))?.control.focus();
      return;
    }
    const plan = this.asked();
    this.room.keep(Object.fromEntries(Object.entries(plan).map(([name, value]) => [name, String(value)])));
    this.plan = plan;
    const test = new LoadTest(plan, this.bounds, this.room.api);
    this.test = test;
    [this.begin.hidden, this.stop.hidden] = [true, false];
    this.stop.focus();
    this.timer = setInterval(() => this.draw(), DRAW_MS);
    try {
      const run = await test.run();
      this.history.add(run);
      this.draw();
      const good = run.lost === 0 && run.twice === 0;
      const refusedOnes = run.sent - run.accepted;
      const words = good ? 'nothing was lost, nothing came twice' : `${run.lost} lost, ${run.twice} twice`;
      this.say(
        good && refusedOnes === 0 ? 'open' : 'waiting',
        `${run.stopped ? 'Stopped' : 'Done'}: ${words}${refusedOnes > 0 ? `; ${counted(refusedOnes, 'event')} not accepted` : ''}.`,
      );
    } catch (error) {
      this.say('refused', `The test could not run: ${error instanceof Error ? error.message : String(error)}.`);
    } finally {
      clearInterval(this.timer);
      this.test = null;
      [this.begin.hidden, this.stop.hidden] = [false, true];
      this.begin.focus();
    }
  }

  private say(phase: string, words: string): void {
    this.status.dataset['phase'] = phase;
    write(this.status, words);
  }

  private draw(): void {
    const { test, plan } = this;
    if (test === null || plan === null) return;
    test.tick();
    const { progress } = test;
    this.seconds = progress.seconds;
    const found = percentiles(progress.delivery);
    const values: Record<(typeof FIGURES)[number], number | null> = {
      Sent: progress.sent,
      Accepted: progress.accepted,
      Seen: progress.seen,
      p50: found.p50,
      p90: found.p90,
      p95: found.p95,
      p99: found.p99,
      'p99.9': found['p99.9'],
      Slowest: found.max,
    };
    for (const name of FIGURES) {
      const node = this.figures.get(name);
      if (node !== undefined) write(node, number(values[name]));
    }
    this.bar.value = Math.min(1, progress.elapsed / (plan.seconds * 1000));
    const phases = {
      opening: `${progress.open} of ${counted(plan.subscribers, 'subscriber')} open`,
      running: `${length(progress.elapsed)} of ${plan.seconds} s, ${counted(plan.subscribers, 'subscriber')}`,
      waiting: 'Waiting for the last events',
      done: 'Done',
    };
    this.say(progress.phase === 'opening' ? 'connecting' : 'open', phases[progress.phase]);
    const codes = codesOf(progress);
    write(
      this.codes,
      codes === ''
        ? ''
        : `Answers by status, in events: ${codes}. Answered in p50 ${number(progress.answer.percentile(50))} ms, p99 ${number(progress.answer.percentile(99))} ms.`,
    );
    this.drawSeconds();
  }

  private drawSeconds(): void {
    this.canvas.replaceChildren(picture(this.seconds, this.plan?.seconds ?? 10, this.canvas.clientWidth || 1000));
  }
}

/** HTTP/1.1 or 2, as this page was loaded: it decides how many streams a browser holds. */
function protocolOf(): string {
  const [entry] = performance.getEntriesByType('navigation');
  return (entry as PerformanceNavigationTiming | undefined)?.nextHopProtocol ?? 'http/1.1';
}

export const view: View = {
  name: 'load',
  key: '4',
  title: 'Load',
  mount: (root, room) => new LoadView(root, room),
};

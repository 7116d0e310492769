import { type Alarm, drawn, linkOf, naming } from '../../logic/alarms';
import { length } from '../../logic/format';
import type { Alert } from '../../logic/promjson';
import { Chart, compact, type Line } from '../../parts/chart';
import { h, rows, write } from '../../parts/dom';
import type { Room } from '../view';

/** The chart of an expression goes so far back, in this many steps. */
const [BACK, STEPS] = [3 * 3600, 360];
const ASK_MS = 15_000;
/** More lines than these cannot be told apart. */
const MOST_LINES = 7;

/** What is behind a rule: what it means, what it is about now, its expression as a chart, and what to do. */
export class Detail {
  private readonly description = h('p');
  private readonly about = h('ul', { class: 'about', 'aria-label': 'What it is about' });
  private readonly expression = h('code');
  private readonly waits = h('p', { class: 'note' });
  private readonly help = h('p', { class: 'help' });
  private readonly error = h('p', { class: 'wrong' });
  private readonly root = h('div', { class: 'detail' });
  private chart: Chart | null = null;
  private key = '';
  private asked = 0;

  constructor(private readonly room: Room) {}

  show(place: HTMLElement, one: Alarm, now: number): void {
    if (this.root.parentElement !== place) place.append(this.root);
    if (this.key !== one.key) this.change(one);
    const { rule } = one;
    const notes = one.alerts[0]?.annotations ?? rule.annotations;
    write(this.description, notes['description'] ?? '');
    this.description.hidden = this.description.textContent === '';
    write(this.error, rule.health === 'err' ? one.words : '');
    this.error.hidden = this.error.textContent === '';
    rows(
      this.about,
      one.alerts,
      () => h('li', {}, h('b'), h('span'), h('time')),
      (row, alert) => fill(row, alert, now),
    );
    this.about.hidden = one.alerts.length === 0;
    write(this.expression, rule.expression);
    write(this.waits, rule.for > 0 ? `It fires when this holds for ${length(rule.for * 1000)}.` : 'It fires at once.');
    this.fillHelp(notes);
    if (now - this.asked > ASK_MS) void this.ask(one, now);
  }

  leave(): void {
    this.chart?.destroy();
    this.chart = null;
    this.key = '';
    this.root.remove();
  }

  private change(one: Alarm): void {
    this.chart?.destroy();
    this.key = one.key;
    this.asked = 0;
    const { limit } = drawn(one.rule.expression);
    this.chart = new Chart({
      title: 'Its expression over three hours',
      note: limit === '' ? 'a line where it is true' : 'dashed: the limit',
      format: plain,
      lines: [],
      height: 170,
    });
    this.root.replaceChildren(
      this.error,
      this.description,
      this.help,
      this.about,
      this.chart.root,
      h('pre', { tabindex: '0', 'aria-label': 'The expression' }, this.expression),
      this.waits,
    );
  }

  private fillHelp(notes: Record<string, string>): void {
    const [link, section, mend] = [linkOf(notes['runbook_url']), notes['runbook'] ?? '', notes['mend'] ?? ''];
    const key = `${link ?? section} ${mend}`;
    if (this.help.dataset['of'] === key) return;
    this.help.dataset['of'] = key;
    this.help.replaceChildren(
      ...(link !== null
        ? [h('a', { href: link, target: '_blank', rel: 'noopener noreferrer' }, 'What to do, in the runbook')]
        : section !== ''
          ? [h('span', {}, 'What to do: ', h('code', {}, section), ' in the repository')]
          : []),
      ...(mend === '' ? [] : [h('span', {}, 'Look: ', h('code', {}, mend))]),
    );
    this.help.hidden = this.help.children.length === 0;
  }

  private async ask(one: Alarm, now: number): Promise<void> {
    this.asked = now;
    const { chart, key } = this;
    const { expression, limit } = drawn(one.rule.expression);
    const end = now / 1000;
    const question = (text: string) => this.room.prometheus.queryRange(text, end - BACK, end, BACK / STEPS);
    const [values, limits] = await Promise.all([question(expression), limit === '' ? null : question(limit)]);
    if (this.key !== key || chart === null) return;
    if (!values.ok) return chart.missing(`Not known: ${values.failure.what} ${values.failure.advice}`);
    const { times, series } = values.value;
    const shown = series.slice(0, MOST_LINES);
    const lines: Line[] = shown.map(({ labels }, index) => ({
      label: naming(labels),
      colour: `tone-${index + 1}`,
      fill: shown.length === 1,
    }));
    const border = limits?.ok === true ? limits.value.series[0]?.values : undefined;
    if (border !== undefined && shown.length > 0) lines.push({ label: 'limit', colour: 'bad', dash: [6, 4] });
    const marks = one.alerts.map((alert) => ({
      at: alert.since,
      kind: 'alert' as const,
      words: `began: ${naming(alert.labels)}`,
    }));
    chart.draw(
      { times, values: [...shown.map((each) => each.values), ...(border === undefined ? [] : [border])] },
      marks,
      lines,
      'It had no value in this time: nothing of what it asks for is there.',
    );
  }
}

function fill(row: HTMLElement, alert: Alert, now: number): void {
  const [name, state, since] = row.children;
  if (name) write(name, naming(alert.labels));
  if (state) write(state, `${alert.state === 'firing' ? 'fires' : 'about to fire'}, value ${plain(alert.value)}`);
  if (since) write(since, `since ${length(now - alert.since * 1000)}`);
}

/** A value whose kind is not known: small ones keep their digits. */
function plain(value: number): string {
  if (!Number.isFinite(value)) return 'not a number';
  return Math.abs(value) < 10 && !Number.isInteger(value) ? String(Number(value.toPrecision(3))) : compact(value);
}

import { number } from '../../logic/format';
import { codesOf, keep, reached, type Run, runsAsCsv, runsAsHtml, runsOf } from '../../logic/runs';
import { attribute, h, write } from '../../parts/dom';
import { button, download } from '../../parts/field';

const KEY = 'load-runs';

/** The runs that this browser keeps, compared with one of them. */
export class History {
  readonly root: HTMLElement;
  private runs: Run[];
  private readonly body = h('tbody', {});
  private readonly note = h('p', { class: 'note', id: 'runs-note' });
  private readonly files: HTMLElement;
  /** The id of the run that the others are compared with; null: each with the one before it. */
  private base: string | null = null;

  constructor() {
    this.runs = runsOf(stored());
    this.files = h(
      'div',
      { class: 'actions' },
      button('Report', () => this.save('report.html', 'text/html', runsAsHtml(this.runs, location.host)), {
        id: 'report',
      }),
      button('CSV', () => this.save('runs.csv', 'text/csv', runsAsCsv(this.runs)), { id: 'csv' }),
      button('JSON', () => this.save('runs.json', 'application/json', `${JSON.stringify(this.runs, null, 1)}\n`), {
        id: 'json',
      }),
      button('Forget all', () => this.forget(), { id: 'forget', class: 'quiet' }),
    );
    const titles = ['Began', 'Asked', 'Reached', 'p50', 'p99', 'p99.9', 'Lost, twice', 'Codes', 'Compare'];
    this.root = h(
      'section',
      { class: 'card runs', 'aria-labelledby': 'runs-title' },
      h('div', { class: 'head' }, h('h2', { id: 'runs-title' }, 'Runs'), this.files),
      h(
        'div',
        { class: 'sideways', tabindex: '0', role: 'region', 'aria-label': 'Table of the runs' },
        h(
          'table',
          {},
          h('thead', {}, h('tr', {}, ...titles.map((title) => h('th', { scope: 'col' }, title)))),
          this.body,
        ),
      ),
      this.note,
    );
    this.draw();
  }

  add(run: Run): void {
    const kept = keep(this.runs, run);
    this.runs = kept.runs;
    try {
      localStorage.setItem(KEY, kept.text);
    } catch {
      // Storage is full or switched off: the runs last as long as the page.
    }
    this.draw();
  }

  private forget(): void {
    this.runs = [];
    this.base = null;
    try {
      localStorage.removeItem(KEY);
    } catch {
      // As above.
    }
    this.draw();
  }

  private save(name: string, type: string, text: string): void {
    download(`load-${name}`, type, text);
  }

  private draw(): void {
    const none = this.runs.length === 0;
    this.files.hidden = none;
    if (this.root.querySelector('.sideways') instanceof HTMLElement)
      (this.root.querySelector('.sideways') as HTMLElement).hidden = none;
    const base = this.runs.find((run) => run.id === this.base);
    this.body.replaceChildren(...this.runs.map((run, index) => this.line(run, base ?? this.runs[index + 1])));
    const compared =
      base === undefined ? 'each is compared with the one before it' : 'all are compared with the one that is marked';
    write(
      this.note,
      none
        ? 'No run is kept yet. This browser keeps the newest 20.'
        : `The newest 20 are kept in this browser; ${compared}. Times are milliseconds from just before the publish until a subscriber of this page saw the event.`,
    );
  }

  private line(run: Run, base: Run | undefined): HTMLElement {
    const time = (name: 'p50' | 'p99' | 'p99.9') => h('td', {}, number(run.delivery[name]), change(run, base, name));
    const asked = `${number(run.rate)}/s × ${run.seconds} s, ${number(run.size)} B, ${run.channels} ch, ${run.subscribers} sub`;
    const marked = run.id === this.base;
    const mark = button(marked ? '★' : '☆', () => this.compare(run.id), {
      class: 'quiet',
      'aria-label': `Compare the others with the run of ${new Date(run.at).toLocaleString()}`,
    });
    attribute(mark, 'aria-pressed', String(marked));
    return h(
      'tr',
      { class: run.lost + run.twice > 0 ? 'bad' : '' },
      h('th', { scope: 'row' }, new Date(run.at).toLocaleString('en', { dateStyle: 'medium', timeStyle: 'medium' })),
      h('td', {}, asked),
      h('td', {}, `${number(reached(run))}/s`, run.stopped ? h('small', {}, ' stopped') : null),
      time('p50'),
      time('p99'),
      time('p99.9'),
      h('td', {}, `${number(run.lost)}, ${number(run.twice)}`),
      h('td', {}, codesOf(run)),
      h('td', {}, mark),
    );
  }

  private compare(id: string): void {
    this.base = this.base === id ? null : id;
    this.draw();
  }
}

function change(run: Run, base: Run | undefined, name: 'p50' | 'p99' | 'p99.9'): HTMLElement | null {
  const [now, before] = [run.delivery[name], base?.delivery[name] ?? null];
  if (base === undefined || base.id === run.id || now === null || before === null || before === 0) return null;
  const percent = Math.round((now / before - 1) * 100);
  const way = percent > 10 ? 'worse' : percent < -10 ? 'better' : 'same';
  return h('small', { class: `change ${way}` }, ` ${percent > 0 ? '+' : ''}${number(percent)} %`);
}

function stored(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

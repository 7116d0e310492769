import { ago, latency, NOTHING } from '../../logic/format';
import type { Target } from '../../logic/promjson';
import type { Seen } from '../../logic/result';
import { h, write } from '../../parts/dom';
import { Table } from '../../parts/table';

const ORDER = { down: 0, unknown: 1, up: 2 };
const WORDS = { down: 'does not answer', unknown: 'not asked yet', up: 'answers' };
const STATES = { down: 'bad', unknown: 'unknown', up: 'good' };

/** Whom Prometheus asks for metrics: what it does not reach comes first, with the error. */
export class Targets {
  private now = 0;
  private readonly table = new Table<Target>('Targets of Prometheus', [
    { title: 'Target', text: (one) => one.instance },
    { title: 'Job', text: (one) => one.job },
    { title: 'State', text: (one) => WORDS[one.health], state: (one) => STATES[one.health] },
    { title: 'Asked', figure: true, text: (one) => (one.scraped > 0 ? ago(this.now - one.scraped * 1000) : NOTHING) },
    { title: 'Took', figure: true, text: (one) => (one.health === 'up' ? latency(one.seconds).join(' ') : NOTHING) },
    { title: 'Last error', text: (one) => one.error || NOTHING },
  ]);
  private readonly note = h('p', { class: 'readout' });
  private readonly empty = h('p', { class: 'note' });
  readonly root = h(
    'section',
    { class: 'card', 'aria-label': 'Targets' },
    h('div', { class: 'head' }, h('h2', {}, 'What Prometheus asks'), this.note),
    this.table.root,
    this.empty,
  );

  draw(targets: Target[] | null, seen: Seen<Target[]>, now: number): void {
    this.now = now;
    this.table.root.hidden = targets === null;
    this.empty.hidden = targets !== null;
    if (targets === null) {
      write(this.empty, seen.failure === null ? 'Not known yet.' : `Not known: ${seen.failure.what}`);
      write(this.note, '');
      return;
    }
    const up = targets.filter((one) => one.health === 'up').length;
    write(this.note, `${up} of ${targets.length} answer`);
    this.table.draw(
      [...targets].sort(
        (left, right) =>
          ORDER[left.health] - ORDER[right.health] ||
          left.instance.localeCompare(right.instance, 'en', { numeric: true }),
      ),
    );
  }
}

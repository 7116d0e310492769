import { type Alarm, type RuleState } from '../../logic/alarms';
import { counted, length } from '../../logic/format';
import { attribute, h, write } from '../../parts/dom';
import type { Room } from '../view';
import { Detail } from './detail';

const STATES: Record<RuleState, string> = {
  firing: 'fires',
  pending: 'about to fire',
  unknown: 'not known',
  quiet: 'quiet',
  heartbeat: 'always fires',
};

interface Row {
  root: HTMLElement;
  button: HTMLButtonElement;
  state: HTMLElement;
  name: HTMLElement;
  severity: HTMLElement;
  words: HTMLElement;
  since: HTMLElement;
  place: HTMLElement;
}

/** The rules as rows that open: what needs somebody above, what is quiet at the end. */
export class List {
  readonly root = h('section', { class: 'alarms', 'aria-label': 'Alerts that need a look' });
  readonly quiet = h('section', { class: 'alarms quiet-rules', 'aria-label': 'Rules that are quiet', hidden: true });
  private readonly none = h('p', { class: 'card note', hidden: true });
  private readonly now = h('ul');
  private readonly later = h('ul');
  private readonly toggle = h('button', { type: 'button', 'aria-expanded': 'false' });
  private readonly rows = new Map<string, Row>();
  private readonly detail: Detail;
  private all: readonly Alarm[] = [];
  private chosen = '';
  private every = false;
  private searching = false;

  constructor(private readonly room: Room) {
    this.detail = new Detail(room);
    this.root.append(this.now, this.none);
    this.quiet.append(this.toggle, this.later);
    this.toggle.addEventListener('click', () => {
      this.every = !this.every;
      this.draw(this.all, this.searching, room.clock.now());
    });
  }

  /** Opens a rule by its key; '' closes what is open. */
  open(key: string): void {
    this.chosen = key;
    if (key === '') this.detail.leave();
    else this.every ||= this.all.find((one) => one.key === key)?.state === 'quiet';
  }

  /** Closes what is open; false where nothing was. */
  close(): boolean {
    if (this.chosen === '') return false;
    const button = this.rows.get(this.chosen)?.button;
    this.choose('');
    button?.focus();
    return true;
  }

  unknown(): void {
    this.now.replaceChildren();
    this.later.replaceChildren();
    this.rows.clear();
    this.quiet.hidden = true;
    write(this.none, 'No rule is shown, because none of them is known.');
    this.none.hidden = false;
  }

  draw(all: readonly Alarm[], searching: boolean, now: number): void {
    [this.all, this.searching] = [all, searching];
    const urgent = all.filter((one) => one.state !== 'quiet' && one.state !== 'heartbeat');
    const calm = all.filter((one) => !urgent.includes(one));
    for (const key of this.rows.keys()) if (!all.some((one) => one.key === key)) this.rows.delete(key);
    this.fill(this.now, urgent, now);
    const shown = this.every || searching;
    this.fill(this.later, shown ? calm : [], now);
    this.quiet.hidden = calm.length === 0;
    this.toggle.hidden = searching;
    attribute(this.toggle, 'aria-expanded', String(shown));
    write(this.toggle, `${shown ? 'Hide' : 'Show'} ${counted(calm.length, 'quiet rule')}`);
    this.none.hidden = urgent.length > 0;
    write(this.none, searching ? 'No alert like this fires.' : 'Nothing fires, and nothing is about to.');
  }

  private fill(list: HTMLElement, alarms: readonly Alarm[], now: number): void {
    const wanted = alarms.map((one) => {
      const row = this.rows.get(one.key) ?? this.make(one.key);
      this.update(row, one, now);
      return row.root;
    });
    if (wanted.length !== list.children.length || wanted.some((row, index) => list.children[index] !== row))
      list.replaceChildren(...wanted);
  }

  private make(key: string): Row {
    const [state, name, severity, words, since] = [h('i'), h('b'), h('small'), h('span'), h('time')];
    const place = h('div', { class: 'open', id: `rule-${this.rows.size}-${Math.random().toString(36).slice(2)}` });
    const button = h(
      'button',
      { type: 'button', 'aria-expanded': 'false', 'aria-controls': place.id },
      state,
      h('span', { class: 'title' }, name, severity),
      words,
      since,
    );
    button.addEventListener('click', () => this.choose(this.chosen === key ? '' : key));
    const row = { root: h('li', { class: 'card' }, button, place), button, state, name, severity, words, since, place };
    this.rows.set(key, row);
    return row;
  }

  private update(row: Row, one: Alarm, now: number): void {
    const look = one.state === 'firing' ? (one.severity === 'critical' ? 'bad' : 'warning') : one.state;
    attribute(row.root, 'data-state', look);
    write(row.name, one.rule.name);
    write(row.severity, [STATES[one.state], one.severity === 'none' ? '' : one.severity].filter(Boolean).join(' · '));
    write(row.words, one.words);
    write(row.since, one.since === null || one.state === 'heartbeat' ? '' : `since ${length(now - one.since * 1000)}`);
    const open = this.chosen === one.key;
    attribute(row.button, 'aria-expanded', String(open));
    row.place.hidden = !open;
    if (open) this.detail.show(row.place, one, now);
  }

  private choose(key: string): void {
    this.open(key);
    this.room.keep({ rule: key });
    this.draw(this.all, this.searching, this.room.clock.now());
  }
}

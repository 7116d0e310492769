import '../../style/alerts.css';
import { Polled } from '../../feeds/polled';
import { type Alarm, alarms, besides, calling, headline, matches } from '../../logic/alarms';
import { ago, counted } from '../../logic/format';
import type { Range, Rule, Target } from '../../logic/promjson';
import { good, type Result, type Seen } from '../../logic/result';
import { attribute, h, write } from '../../parts/dom';
import type { Mounted, Room, View } from '../view';
import { List } from './list';
import { Receivers } from './receivers';
import { Targets } from './targets';

const RULES_MS = 4_000;
const RECEIVERS_MS = 10_000;
/** How far back a receiver's last message is looked for, and how finely, in seconds. */
const [BACK, STEP] = [12 * 3600, 60];
/** After so long without an answer, rules are not shown as known any more. */
const STALE_MS = 15_000;
const SENT = 'sum by (receiver_name) (alertmanager_notification_requests_total)';
const FAILED = 'sum by (receiver_name) (alertmanager_notification_requests_failed_total)';

export const view: View = {
  name: 'alerts',
  key: '6',
  title: 'Alerts',
  mount: (root, room) => new Alerts(root, room),
};

interface Sent {
  sent: Range;
  failed: Range;
}

class Alerts implements Mounted {
  private readonly rules: Polled<Rule[]>;
  private readonly sent: Polled<Sent>;
  private readonly sentence = h('h1', { id: 'alerts-headline' }, 'Looking…');
  private readonly more = h('p', { id: 'alerts-subline' }, 'Asking Prometheus.');
  private readonly lead = h(
    'section',
    { class: 'lead', 'aria-label': 'Alerts in one sentence' },
    h('div', { role: 'status' }, this.sentence),
    this.more,
  );
  private readonly list: List;
  private readonly receivers = new Receivers();
  private readonly targets = new Targets();
  private search = '';
  private ends: (() => void)[] = [];

  constructor(
    root: HTMLElement,
    private readonly room: Room,
  ) {
    this.rules = new Polled(() => room.prometheus.rules(), RULES_MS);
    this.sent = new Polled(() => this.askSent(), RECEIVERS_MS);
    this.list = new List(room);
    root.append(this.lead, this.list.root, this.receivers.root, this.targets.root, this.list.quiet);
    for (const one of [this.rules, this.sent]) one.changed(() => this.draw());
    room.search((text) => {
      this.search = text;
      this.draw();
    });
    room.escape(() => this.list.close());
  }

  show(parameters: URLSearchParams): void {
    this.list.open(parameters.get('rule') ?? '');
    this.hide();
    for (const one of [this.rules, this.sent]) one.start();
    this.ends = [this.room.platform.changed(() => this.draw()), this.room.clock.each(() => this.draw())];
    this.draw();
  }

  hide(): void {
    for (const one of [this.rules, this.sent]) one.stop();
    for (const end of this.ends) end();
    this.ends = [];
  }

  private async askSent(): Promise<Result<Sent>> {
    const now = this.room.clock.now() / 1000;
    const ask = (what: string): Promise<Result<Range>> => this.room.prometheus.queryRange(what, now - BACK, now, STEP);
    const [sent, failed] = await Promise.all([ask(SENT), ask(FAILED)]);
    if (!sent.ok) return sent;
    return failed.ok ? good({ sent: sent.value, failed: failed.value }, sent.at) : failed;
  }

  private draw(): void {
    const now = this.room.clock.now();
    const found = known(this.rules, now);
    const all = found === null ? [] : alarms(found);
    const told = this.calling(now);
    this.receivers.draw(told, this.sent, now);
    this.targets.draw(known(this.room.platform.targets, now), this.room.platform.targets, now);
    if (found === null) {
      if (!this.rules.asked) return;
      write(this.sentence, 'Alerts are not known.');
      attribute(this.lead, 'data-state', 'unknown');
      const { failure } = this.rules;
      write(this.more, failure === null ? 'Prometheus did not answer lately.' : `${failure.what} ${failure.advice}`);
      this.list.unknown();
      return;
    }
    write(this.sentence, headline(all));
    attribute(this.lead, 'data-state', state(all));
    const asked = `${counted(all.length, 'rule')}, asked ${ago(now - (this.rules.at ?? now))}.`;
    const called = told?.words ?? 'Whether anybody is called is not known.';
    write(this.more, [besides(all), called, asked].filter(Boolean).join(' '));
    this.list.draw(
      all.filter((one) => matches(one, this.search)),
      this.search.trim() !== '',
      now,
    );
  }

  private calling(now: number): ReturnType<typeof calling> | null {
    const targets = known<Target[]>(this.room.platform.targets, now);
    const sent = known(this.sent, now);
    return targets === null || sent === null ? null : calling(targets, sent.sent, sent.failed, now);
  }
}

/** A value that is fresh enough to be shown as known. */
function known<T>(seen: Seen<T>, now: number): T | null {
  return seen.value !== null && seen.at !== null && now - seen.at <= STALE_MS + RECEIVERS_MS ? seen.value : null;
}

function state(all: readonly Alarm[]): string {
  const fires = all.filter((one) => one.state === 'firing');
  if (fires.some((one) => one.severity === 'critical')) return 'bad';
  if (fires.length > 0) return 'warning';
  return all.length === 0 || all.some((one) => one.state === 'unknown') ? 'unknown' : 'good';
}

import type { Calling } from '../../logic/alarms';
import { ago } from '../../logic/format';
import type { Seen } from '../../logic/result';
import { attribute, h, rows, write } from '../../parts/dom';

const WORDS: Record<string, string> = {
  webhook: 'Webhook',
  email: 'Mail',
  slack: 'Slack',
  ntfy: 'ntfy',
  watchdog: 'Watchdog',
};

/** Who is called, and whether they took the last message. */
export class Receivers {
  private readonly note = h('p', { class: 'readout' });
  private readonly sentence = h('p');
  private readonly list = h('ul', { class: 'receivers' });
  private readonly help = h('p', { class: 'note' });
  readonly root = h(
    'section',
    { class: 'card', 'aria-label': 'Who is called' },
    h('div', { class: 'head' }, h('h2', {}, 'Who is called'), this.note),
    this.sentence,
    this.list,
    this.help,
  );

  draw(told: Calling | null, seen: Seen<unknown>, now: number): void {
    if (told === null) {
      this.list.hidden = true;
      write(this.sentence, seen.failure === null ? 'Not known yet.' : `Not known: ${seen.failure.what}`);
      attribute(this.root, 'data-state', 'unknown');
      write(this.help, '');
      write(this.note, '');
      return;
    }
    attribute(this.root, 'data-state', told.state);
    write(this.sentence, told.words);
    write(
      this.note,
      seen.at === null || told.receivers.length === 0 ? '' : `Alertmanager's own metrics, ${ago(now - seen.at)}`,
    );
    this.list.hidden = told.receivers.length === 0;
    rows(
      this.list,
      told.receivers,
      () => h('li', {}, h('i', { class: 'dot' }), h('b'), h('span')),
      (row, one) => {
        attribute(row, 'data-state', one.state);
        const [, name, words] = row.children;
        if (name) write(name, WORDS[one.name] ?? one.name);
        if (words) write(words, one.words);
      },
    );
    write(
      this.help,
      told.receivers.length === 0
        ? 'docs/observability.md, Being called, says how to set alerts_to.'
        : './sse alert-test sends a test alert to each of them.',
    );
  }
}

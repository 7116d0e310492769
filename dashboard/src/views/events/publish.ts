import { number } from '../../logic/format';
import { bodyOf, refusalOf } from '../../logic/problems';
import type { Row } from '../../logic/rows';
import { h, write } from '../../parts/dom';
import { field } from '../../parts/field';
import type { Room } from '../view';

/** After this time an event that was accepted is said to be not seen. */
const SEEN_MS = 10_000;

/** The form by which a person publishes one event. What is wrong stands beside its field, in sentences. */
export class PublishForm {
  readonly root: HTMLElement;
  private readonly channel = field(
    'publish-channel',
    'Channel',
    h('input', {
      type: 'text',
      autocomplete: 'off',
      spellcheck: 'false',
      autocapitalize: 'off',
      value: 'dashboard.test',
    }),
  );
  private readonly event = field(
    'publish-event',
    'Event',
    h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', placeholder: 'message' }),
    'Its name; empty means “message”.',
  );
  private readonly data = field('publish-data', 'Data', h('textarea', { rows: '5', spellcheck: 'false' }, '{"n": 1}'));
  private readonly json = h('input', { type: 'radio', name: 'publish-kind', value: 'json', checked: true });
  private readonly text = h('input', { type: 'radio', name: 'publish-kind', value: 'text' });
  private readonly general = h('p', { class: 'wrong', role: 'alert', id: 'publish-wrong' });
  private readonly status = h('p', { class: 'note', role: 'status', id: 'publish-status' });
  private readonly send = h('button', { class: 'main', id: 'publish' }, 'Publish');
  private readonly waiting = new Map<string, (at: number) => void>();
  /** Events that were seen before the answer to their publish. */
  private readonly early = new Map<string, number>();
  private busy = false;

  constructor(
    private readonly room: Room,
    private readonly live: () => boolean,
  ) {
    const form = h(
      'form',
      { class: 'stacked' },
      h('div', { class: 'two' }, this.channel.root, this.event.root),
      this.data.root,
      h(
        'fieldset',
        { class: 'choice' },
        h('legend', {}, 'Send the data as'),
        h('label', {}, this.json, ' JSON'),
        h('label', {}, this.text, ' Text, as it is'),
      ),
      this.general,
      h('div', { class: 'actions' }, this.send),
      this.status,
    );
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.submit();
    });
    this.root = h(
      'section',
      { class: 'card publish', 'aria-labelledby': 'publish-title' },
      h('div', { class: 'head' }, h('h2', { id: 'publish-title' }, 'Publish an event')),
      form,
    );
  }

  /** Fills the form with an event, to be looked at or changed before it is sent. */
  fill(row: Row): void {
    this.channel.control.value = row.channel ?? '';
    this.event.control.value = row.event === 'message' ? '' : row.event;
    this.data.control.value = row.data;
    this.text.checked = true; // a text is sent as it is, so that it is the same event again
    this.clear();
  }

  focus(): void {
    this.data.control.focus();
  }

  /** An event came by the stream. */
  seen(id: string | null, at: number): void {
    if (id === null) return;
    const settle = this.waiting.get(id);
    if (settle !== undefined) settle(at);
    else if (this.busy) this.early.set(id, at);
  }

  private clear(): void {
    for (const one of [this.channel, this.event, this.data]) one.wrong('');
    write(this.general, '');
  }

  /** Publishes what the form says; returns what came of it, in words. */
  async submit(): Promise<string> {
    if (this.busy) return 'Another event is on its way.';
    this.clear();
    write(this.status, '');
    const made = bodyOf({
      channel: this.channel.control.value,
      event: this.event.control.value,
      data: this.data.control.value,
      json: this.json.checked,
    });
    if ('refusal' in made) {
      this.refuse(made.refusal);
      return 'The form below says what is wrong.';
    }
    this.busy = true;
    this.send.setAttribute('aria-disabled', 'true');
    write(this.status, 'It is on its way…');
    const begun = performance.now();
    const outcome = await this.room.api.request('/api/v1/events', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key() },
      body: made.body,
    });
    if (outcome.ok) await this.accepted(outcome.answer, begun);
    else {
      write(this.status, '');
      const words = `${outcome.failure.what} ${outcome.failure.advice}`;
      const unknown = outcome.answer === null || outcome.answer.status >= 500;
      this.refuse(unknown ? { general: words, fields: {} } : refusalOf(outcome.answer?.body, words));
    }
    this.busy = false;
    this.early.clear();
    this.send.removeAttribute('aria-disabled');
    return this.status.textContent || 'It was refused: the form below says why.';
  }

  private refuse(refusal: ReturnType<typeof refusalOf>): void {
    const fields = { channel: this.channel, event: this.event, data: this.data };
    let first: HTMLElement | null = null;
    for (const [name, one] of Object.entries(fields)) {
      const words = refusal.fields[name as keyof typeof fields];
      if (words === undefined) continue;
      one.wrong(words.join(' '));
      first ??= one.control;
    }
    write(this.general, refusal.general ?? '');
    first?.focus();
  }

  private async accepted(
    answer: { body: unknown; replica: string | null; milliseconds: number },
    begun: number,
  ): Promise<void> {
    const ids = (answer.body as { ids?: unknown }).ids;
    const id = Array.isArray(ids) ? String(ids[0]) : '';
    const stored = `Stored as ${id} by ${answer.replica ?? 'a replica without a name'}, in ${number(answer.milliseconds)} ms`;
    if (!this.live()) {
      write(this.status, `${stored}. The stream is not open, so it cannot be seen here now.`);
      return;
    }
    write(this.status, `${stored}…`);
    const at = this.early.get(id) ?? (await this.arrival(id));
    write(
      this.status,
      at === null
        ? `${stored}. It was not seen on this page’s stream within ${SEEN_MS / 1000} s: does the stream have its channel?`
        : `${stored}. Seen here ${number(at - begun)} ms after it was sent.`,
    );
  }

  private arrival(id: string): Promise<number | null> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle(null), SEEN_MS);
      const settle = (at: number | null): void => {
        clearTimeout(timer);
        this.waiting.delete(id);
        resolve(at);
      };
      this.waiting.set(id, settle);
    });
  }
}

/** crypto.randomUUID exists only on https and localhost; the page must also work on a plain address. */
export function key(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

import { EventStream, type StreamEvent, type StreamOptions, type StreamState } from 'sse-platform-client';
import { counted, length } from '../../logic/format';
import { h, write } from '../../parts/dom';
import { button, field } from '../../parts/field';
import type { Room } from '../view';

const BEGINNINGS = [
  ['now', 'with the next event'],
  ['last', 'with the newest 100 events'],
  ['earliest', 'with the oldest event that is kept'],
  ['since', 'at a time'],
  ['id', 'after an id'],
] as const;
type Beginning = (typeof BEGINNINGS)[number][0];

interface Receiver {
  event(event: StreamEvent): void;
  note(text: string): void;
  changed(): void;
  cleared(): void;
}

/** The stream that the log shows: which channels, and where it begins. */
export class Source {
  readonly root: HTMLElement;
  private stream: EventStream | null = null;
  private leftAt: number | null = null;
  private readonly channels = field(
    'stream-channels',
    'Channels',
    h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', value: '*' }),
    'Names, prefix.* or * for all; a space between two.',
  );
  private readonly begins = field(
    'stream-begins',
    'Begins',
    h('select', {}, ...BEGINNINGS.map(([value, words]) => h('option', { value }, words))),
  );
  private readonly since = field(
    'stream-since',
    'Time (of this computer)',
    h('input', { type: 'datetime-local', step: '1' }),
  );
  private readonly id = field(
    'stream-id',
    'Id',
    h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', placeholder: '41-9f2c0b1e' }),
  );
  private readonly status = h('p', { class: 'state', id: 'stream-state', role: 'status' });
  private readonly words = h('span');
  private readonly retry: HTMLButtonElement;

  constructor(
    private readonly room: Room,
    private readonly receiver: Receiver,
    private readonly kept: (parameters: Record<string, string>) => void,
  ) {
    this.status.append(h('i', { 'aria-hidden': 'true' }), this.words);
    this.retry = button('Try now', () => this.stream?.retryNow(), { class: 'quiet' });
    const form = h(
      'form',
      { class: 'stacked' },
      this.channels.root,
      this.begins.root,
      this.since.root,
      this.id.root,
      h('div', { class: 'actions' }, h('button', { id: 'stream-open' }, 'Open this stream'), this.retry),
    );
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.submit();
    });
    this.begins.control.addEventListener('change', () => this.fields());
    this.root = h(
      'section',
      { class: 'card source', 'aria-labelledby': 'source-title' },
      h('div', { class: 'head' }, h('h2', { id: 'source-title' }, 'Stream and replay')),
      this.status,
      form,
    );
    this.fields();
    room.api.onToken(() => {
      if (this.stream !== null) this.open(this.wanted(), this.stream.state.cursor);
    });
  }

  get state(): StreamState | null {
    return this.stream?.state ?? null;
  }

  get live(): boolean {
    return this.state?.phase === 'open';
  }

  get refused(): boolean {
    return this.state?.phase === 'refused';
  }

  /** The view is shown: the stream goes on where it was, or begins as the address says. */
  show(parameters: URLSearchParams): void {
    const asked = parameters.get('stream');
    const begin = BEGINNINGS.find(([name]) => name === parameters.get('from'))?.[0];
    const changed = (asked !== null && asked !== this.channels.control.value) || begin !== undefined;
    if (asked !== null) this.channels.control.value = asked;
    if (begin !== undefined) this.begins.control.value = begin;
    if (parameters.has('id')) this.id.control.value = parameters.get('id') ?? '';
    if (parameters.has('since')) this.since.control.value = local(new Date(parameters.get('since') ?? ''));
    this.fields();
    if (this.stream !== null && !changed) return;
    if (this.leftAt === null || changed) return this.submit();
    // To go on after the last id could mean a million events that nobody waits for.
    this.receiver.note(`This view was left for ${length(Date.now() - this.leftAt)}: what came meanwhile is not shown.`);
    this.open(this.wanted(), null);
  }

  hide(): void {
    if (this.stream !== null) this.leftAt = Date.now();
    this.stream?.close();
    this.stream = null;
  }

  /** Shows again what followed an event. */
  replay(id: string): void {
    this.begins.control.value = 'id';
    this.id.control.value = id;
    this.fields();
    this.submit();
  }

  private get begin(): Beginning {
    return this.begins.control.value as Beginning;
  }

  private fields(): void {
    this.since.root.hidden = this.begin !== 'since';
    this.id.root.hidden = this.begin !== 'id';
  }

  private submit(): void {
    for (const one of [this.channels, this.since, this.id]) one.wrong('');
    const time = new Date(this.since.control.value);
    if (this.wanted().length === 0) return this.channels.wrong('Give at least one channel, such as orders.* or *.');
    if (this.begin === 'since' && Number.isNaN(time.getTime())) return this.since.wrong('Give a date and a time.');
    if (this.begin === 'id' && this.id.control.value.trim() === '')
      return this.id.wrong('Give an id, such as 41-9f2c0b1e.');
    const beginnings: Record<Beginning, Partial<StreamOptions>> = {
      now: {},
      last: { last: 100 },
      earliest: { from: 'earliest' },
      since: { since: time },
      id: {},
    };
    const again = this.stream !== null || this.begin !== 'now';
    if (again) this.receiver.cleared();
    const cursor = this.begin === 'id' ? this.id.control.value.trim() : null;
    this.open(this.wanted(), cursor, beginnings[this.begin]);
    if (this.begin !== 'now') this.receiver.note(`The stream begins ${this.said(cursor, time)}, and goes on live.`);
    this.kept({
      stream: this.wanted().join(' ') === '*' ? '' : this.wanted().join(' '),
      from: this.begin === 'now' ? '' : this.begin,
      id: cursor ?? '',
      since: this.begin === 'since' ? time.toISOString() : '',
    });
    return undefined;
  }

  private said(cursor: string | null, time: Date): string {
    if (cursor !== null) return `after ${cursor}`;
    if (this.begin === 'since') return `at ${time.toLocaleString()}`;
    return BEGINNINGS.find(([name]) => name === this.begin)?.[1] ?? '';
  }

  private wanted(): string[] {
    return this.channels.control.value.split(/[\s,]+/).filter((name) => name !== '');
  }

  private open(channels: string[], cursor: string | null, more: Partial<StreamOptions> = {}): void {
    this.stream?.close();
    const stream = new EventStream({
      channels,
      meta: true,
      trace: true,
      token: () => this.room.api.token,
      ...(cursor === null ? more : { lastEventId: cursor }),
    });
    this.stream = stream;
    stream.changed = (state, before) => {
      if (stream !== this.stream) return;
      if (state.phase === before.phase) return;
      if (state.phase === 'open' && state.opened > 1)
        this.receiver.note(
          `Reconnected to ${named(state)}${state.source === null ? '' : `; resumed from: ${state.source}`}.`,
        );
      if (before.phase === 'open' && state.phase !== 'closed')
        this.receiver.note(`The stream ended: ${state.reason ?? 'no reason was given'}.`);
      this.draw();
      this.receiver.changed();
    };
    stream.on('*', (event) => {
      if (stream === this.stream) this.receiver.event(event);
    });
    this.draw();
  }

  draw(): void {
    const { state } = this;
    const phase = state?.phase ?? 'closed';
    this.status.dataset['phase'] = phase;
    this.retry.hidden = phase !== 'waiting' && phase !== 'refused';
    if (state === null) return write(this.words, 'not open');
    const since = length(performance.now() - state.since);
    const breaks = state.opened > 1 ? `, ${counted(state.opened - 1, 'reconnect')}` : '';
    const gaps = state.gaps > 0 ? `, ${counted(state.gaps, 'gap')}` : '';
    const words = {
      connecting: `connecting for ${since}`,
      open: `live from ${named(state)} for ${since}${breaks}${gaps}`,
      waiting: `cut: ${state.reason ?? 'no reason is known'}. It comes back by itself`,
      refused: `refused: ${state.reason ?? 'no reason was given'}`,
      closed: 'closed',
    };
    return write(this.words, words[phase]);
  }
}

function named(state: StreamState): string {
  return state.replica ?? 'a replica without a name';
}

/** A time as a field for dates and times takes it: the clock of this computer. */
function local(time: Date): string {
  if (Number.isNaN(time.getTime())) return '';
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

import { EventStream, OutcomeUnknownError, publish } from 'sse-platform-client';
import { number } from '../../logic/format';
import { tally, verdict } from '../../logic/tally';
import { h, svg, write } from '../../parts/dom';
import { button } from '../../parts/field';
import type { Room } from '../view';
import { key } from './publish';

const EVERY_MS = 100;
const BEFORE_MS = 1_500;
const CUT_MS = 5_000;
const AFTER_MS = 1_500;
/** For the last event to arrive, and for a stream to open. */
const PATIENCE_MS = 20_000;
/** Where the time begins in the picture: its words stand before it. */
const LEFT = 76;

interface Mark {
  at: number;
  element: SVGElement;
}

/** Cuts a stream for five seconds while events are published, resumes it, and counts: nothing is lost, nothing comes twice. */
export class ResumeDemonstration {
  readonly root: HTMLElement;
  private readonly run: HTMLButtonElement;
  private readonly picture: SVGElement;
  private readonly sentence = h('p', { class: 'verdict', role: 'status', id: 'resume-verdict' });
  private readonly facts = h('dl', { class: 'event-facts', id: 'resume-facts' });
  private readonly whole = BEFORE_MS + CUT_MS + AFTER_MS;
  private begun = 0;
  private width = 800;
  /** Why nothing is published any more. */
  private failure: unknown = null;
  private stopped = false;
  private streams: EventStream[] = [];

  constructor(private readonly room: Room) {
    this.run = button(`Cut my stream for ${CUT_MS / 1000} s`, () => void this.start(), { class: 'main', id: 'resume' });
    this.picture = svg('svg', { class: 'timeline', 'aria-hidden': 'true' });
    this.root = h(
      'section',
      { class: 'card resume', 'aria-labelledby': 'resume-title' },
      h('div', { class: 'head' }, h('h2', { id: 'resume-title' }, 'What happens to a stream that is cut'), this.run),
      h(
        'p',
        { class: 'note' },
        'This page opens a stream of a channel of its own, publishes ten events a second to it, and closes the stream for five seconds. It then opens it again with the last id, as Last-Event-ID, and compares what it saw with what the service has accepted.',
      ),
      this.picture as unknown as HTMLElement,
      this.sentence,
      this.facts,
    );
    this.clear();
    // While nothing was shown yet; what a demonstration drew stays as it is.
    new ResizeObserver(() => this.begun === 0 && this.clear()).observe(this.picture);
  }

  hide(): void {
    this.stopped = true;
    for (const stream of this.streams) stream.close();
  }

  private clear(): void {
    // In real pixels, so that its words are as large as others on every screen.
    this.width = Math.max(280, Math.round(this.picture.clientWidth || 800));
    this.picture.setAttribute('viewBox', `0 0 ${this.width} 76`);
    const from = this.x(BEFORE_MS);
    this.picture.replaceChildren(
      svg('rect', { class: 'cut', x: from, y: 4, width: this.x(BEFORE_MS + CUT_MS) - from, height: 68, rx: 8 }),
      label(0, 25, 'published'),
      label(0, 61, 'seen'),
      svg('path', { class: 'lane', d: `M${LEFT} 20H${this.width}M${LEFT} 56H${this.width}` }),
    );
    this.facts.replaceChildren();
    write(this.sentence, '');
    delete this.sentence.dataset['good'];
  }

  private x(milliseconds: number): number {
    const end = this.whole + 500;
    return LEFT + 8 + (Math.min(end, milliseconds) / end) * (this.width - LEFT - 16);
  }

  private dot(lane: 'published' | 'seen'): Mark {
    const at = performance.now() - this.begun;
    const element = svg('circle', { class: lane, cx: this.x(at), cy: lane === 'published' ? 20 : 56, r: 3.5 });
    this.picture.append(element);
    return { at, element };
  }

  private async start(): Promise<void> {
    if (this.run.getAttribute('aria-disabled') === 'true') return;
    this.run.setAttribute('aria-disabled', 'true');
    this.stopped = false;
    this.failure = null;
    this.clear();
    try {
      await this.demonstrate(`dashboard.resume.${key().slice(0, 8)}`);
    } catch (error) {
      this.sentence.dataset['good'] = 'false';
      write(this.sentence, this.stopped ? 'The demonstration was left.' : `It could not be shown: ${reason(error)}`);
    } finally {
      for (const stream of this.streams) stream.close();
      this.streams = [];
      this.run.removeAttribute('aria-disabled');
    }
  }

  private async demonstrate(channel: string): Promise<void> {
    write(this.sentence, 'The stream opens…');
    const seen: string[] = [];
    const published: { id: string; at: number }[] = [];
    const first = await this.open(channel, null, seen);
    this.begun = performance.now();
    let publishing = true;
    const publisher = this.publishAll(channel, published, () => publishing);
    publisher.catch((error: unknown) => (this.failure = error));
    write(this.sentence, 'Events are published and seen.');
    await this.until(BEFORE_MS);
    const cursor = first.state.cursor ?? '';
    const [from, cutAt] = [first.state.replica, performance.now() - this.begun];
    first.close();
    write(this.sentence, `The stream is cut. Events are published on; the last id is ${cursor}.`);
    await this.until(BEFORE_MS + CUT_MS);
    const second = await this.open(channel, cursor, seen);
    const resumedAt = performance.now() - this.begun;
    await this.until(this.whole);
    publishing = false;
    await publisher;
    await this.arrived(published.at(-1)?.id, seen);
    const found = tally(
      published.map((one) => one.id),
      seen,
    );
    const missed = published.filter((one) => one.at > cutAt && one.at < resumedAt).length;
    const { good, text } = verdict(found, missed, second.state.source);
    this.sentence.dataset['good'] = String(good && second.state.gaps === 0);
    write(this.sentence, second.state.gaps > 0 ? `The service said that there is a gap. ${text}` : text);
    const facts: [string, string][] = [
      ['Channel', channel],
      ['Last-Event-ID', cursor],
      ['Replica', `${from ?? 'not named'}, then ${second.state.replica ?? 'not named'}`],
      ['Resumed from', second.state.source ?? 'not told'],
      ['Cut for', `${number(Math.round(resumedAt - cutAt))} ms`],
      ['Published, seen', `${found.published}, ${found.seen}`],
    ];
    this.facts.replaceChildren(...facts.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]));
  }

  private async publishAll(
    channel: string,
    published: { id: string; at: number }[],
    going: () => boolean,
  ): Promise<void> {
    for (let n = 0; going() && !this.stopped; n += 1) {
      const due = this.begun + n * EVERY_MS;
      const wait = due - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      const { at, element } = this.dot('published');
      // The same key in each attempt, so that a failure on the way stores it once.
      const [id] = await publish(
        { channel, event: 'demonstration', data: { n } },
        { token: this.room.api.token, seconds: 10 },
      );
      if (id === undefined) throw new Error('the service gave no id');
      published.push({ id, at });
      element.classList.add('accepted');
    }
  }

  /** Opens a stream; what it gives goes to `seen`. */
  private async open(channel: string, cursor: string | null, seen: string[]): Promise<EventStream> {
    const stream = new EventStream({
      channels: [channel],
      meta: true,
      token: this.room.api.token,
      ...(cursor === null ? {} : { lastEventId: cursor }),
    });
    this.streams.push(stream);
    stream.on('*', (event) => {
      if (event.id === null || event.type === 'gap' || event.type === 'bye') return;
      seen.push(event.id);
      this.dot('seen');
    });
    await this.wait(() => {
      if (stream.state.phase === 'refused') throw new Error(stream.state.reason ?? 'the stream was refused');
      return stream.state.phase === 'open';
    }, 'the stream did not open');
    return stream;
  }

  private async arrived(last: string | undefined, seen: string[]): Promise<void> {
    if (last === undefined) return;
    // Without the last one, the tally says what is lost.
    await this.wait(() => seen.includes(last), '').catch(() => {});
  }

  private async wait(condition: () => boolean, otherwise: string): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    while (!condition()) {
      if (this.stopped || performance.now() > end) throw new Error(otherwise);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  private async until(milliseconds: number): Promise<void> {
    while (performance.now() < this.begun + milliseconds) {
      if (this.failure !== null) throw this.failure;
      if (this.stopped) throw new Error('left');
      const wait = Math.min(50, this.begun + milliseconds - performance.now());
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

function label(x: number, y: number, text: string): SVGElement {
  const made = svg('text', { x, y });
  made.textContent = text;
  return made;
}

function reason(error: unknown): string {
  if (error instanceof OutcomeUnknownError) return 'the service did not answer a publish in time. See ./sse status.';
  return `${error instanceof Error ? error.message : String(error)}.`;
}

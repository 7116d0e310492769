import { type Failure, type Outcome, request } from '../api';
import { counted, number } from '../format';
import { Probes, percentile, Recent, tokenOf } from '../latency';
import type { StreamState } from 'sse-platform-client';
import { element, show } from './dom';

export const CHANNEL = 'dashboard.test';
/** p50 and p99 are of at most this many samples. */
const SAMPLES = 500;
const BURST = 50;
/** Far above the service's publish deadline: what hasn't come by then is counted as not seen. */
const GIVE_UP_MS = 10_000;
/** The dots' axis: 1 ms to 10 s, logarithmic. */
const DECADES = 4;

export class LatencyCard {
  private readonly probes = new Probes();
  private readonly seen = new Recent<number>(SAMPLES);
  private readonly accepted = new Recent<number>(SAMPLES);
  private unseen = 0;
  private interrupted = 0;

  private busy = false;

  constructor(
    private readonly stream: () => StreamState,
    private readonly answered: (outcome: Outcome) => void,
  ) {
    element('publish').addEventListener('click', () => void this.publish(1));
    element('burst').addEventListener('click', () => void this.publish(BURST));
  }

  event(data: string, at: number): void {
    const token = tokenOf(data);
    if (token !== null) this.probes.seen(token, at);
  }

  private async publish(count: number): Promise<void> {
    const buttons = [element<HTMLButtonElement>('publish'), element<HTMLButtonElement>('burst')];
    if (this.busy) return;
    this.busy = true;
    // Not `disabled`: that would take the keyboard's focus away.
    for (const button of buttons) button.ariaDisabled = 'true';
    show('publish-status', 'On its way…');
    let failure: Failure | null = null;
    let last: number | null = null;
    // One after the other: what is measured is one event's way, not a queue of this page's own making.
    for (let done = 0; done < count && failure === null; done += 1) {
      [last, failure] = await this.measure(done + 1);
      this.draw();
      if (count > 1) show('publish-status', `${done + 1} of ${count}…`);
    }
    show('publish-status', failure === null ? this.verdict(count, last) : `${failure.what} ${failure.advice}`);
    this.busy = false;
    for (const button of buttons) button.ariaDisabled = 'false';
  }

  private async measure(n: number): Promise<[milliseconds: number | null, failure: Failure | null]> {
    const token = newToken();
    const opened = this.stream().opened;
    const wasOpen = this.stream().phase === 'open';
    const start = performance.now();
    const arrival = this.probes.sent(token, start);
    const outcome = await request('/api/v1/events', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': token },
      body: JSON.stringify({ channel: CHANNEL, event: 'test', data: { probe: token, n } }),
    });
    this.answered(outcome);
    if (!outcome.ok) {
      this.probes.giveUp(token);
      return [null, outcome.failure];
    }
    this.accepted.add(outcome.answer.milliseconds);
    const timer = setTimeout(() => this.probes.giveUp(token), GIVE_UP_MS);
    const milliseconds = await arrival;
    clearTimeout(timer);
    if (milliseconds === null) this.unseen += 1;
    else if (!wasOpen || this.stream().opened !== opened) this.interrupted += 1;
    else {
      this.seen.add(milliseconds);
      return [milliseconds, null];
    }
    return [null, null];
  }

  private verdict(count: number, last: number | null): string {
    if (count > 1) return `${count} published to ${CHANNEL}, one after the other.`;
    if (last !== null) return `Seen on the stream after ${number(last)} ms.`;
    if (this.stream().phase !== 'open') return 'Accepted, but the stream isn’t open, so it can’t be seen here yet.';
    return `Accepted, but not seen within ${GIVE_UP_MS / 1000} s: see ./sse status and ./sse logs app.`;
  }

  private draw(): void {
    const samples = this.seen.all;
    show('p50', number(percentile(samples, 50)));
    show('p99', number(percentile(samples, 99)));
    show('accepted', number(percentile(this.accepted.all, 50)));
    show('latency-note', this.note(samples.length));
    const track = element('dot-track');
    while (track.children.length > samples.length) track.lastElementChild?.remove();
    for (const [index, milliseconds] of samples.entries()) {
      const dot = track.children[index] ?? track.appendChild(document.createElement('i'));
      if (!(dot instanceof HTMLElement)) continue;
      dot.style.left = `${place(milliseconds)}%`;
      dot.style.top = `${(index * 37) % 100}%`;
    }
    const words = `${counted(samples.length, 'sample')}, p50 ${number(percentile(samples, 50))} ms, slowest ${number(percentile(samples, 100))} ms`;
    element('dots').setAttribute('aria-label', words);
  }

  private note(count: number): string {
    const parts = [count === 0 ? 'No sample yet' : `From this browser, ${counted(count, 'sample')}`];
    if (count > 0 && count < 100) parts.push('below 100 samples p99 is the slowest one');
    if (this.unseen > 0) parts.push(`${this.unseen} not seen within ${GIVE_UP_MS / 1000} s`);
    if (this.interrupted > 0) parts.push(`${this.interrupted} not counted: the stream was interrupted`);
    return `${parts.join('; ')}.`;
  }
}

function place(milliseconds: number): number {
  return (Math.min(DECADES, Math.max(0, Math.log10(milliseconds))) / DECADES) * 100;
}

/** crypto.randomUUID exists only on https and localhost; the page must also work on a plain address. */
function newToken(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

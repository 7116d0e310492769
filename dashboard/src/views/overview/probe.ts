import type { Api } from '../../feeds/api';
import type { Live } from '../../feeds/live';
import { counted, NOTHING, number } from '../../logic/format';
import { percentile, Probes, Recent, tokenOf } from '../../logic/latency';
import type { Failure } from '../../logic/result';
import { h, write } from '../../parts/dom';

const CHANNEL = 'dashboard.test';
/** Percentiles are of at most this many samples. */
const SAMPLES = 500;
/** Far above the service's publish deadline: what has not come by then is counted as not seen. */
const GIVE_UP_MS = 10_000;

/** From this browser: how long an event takes from publishing to being seen on the stream. It reads only meanwhile. */
export class Probe {
  readonly root: HTMLElement;
  private readonly probes = new Probes();
  private readonly seen = new Recent<number>(SAMPLES);
  private readonly figures = [h('b', {}, NOTHING), h('b', {}, NOTHING)];
  private readonly list = h('dl', { class: 'figures' });
  private readonly status = h('p', { class: 'note', id: 'publish-status', role: 'status' });
  private busy = false;

  constructor(
    private readonly api: Api,
    private readonly stream: Live,
  ) {
    const [p50, p99] = this.figures;
    const buttons = [1, 20].map((count) => {
      const words = count === 1 ? 'Publish a test event' : `Publish ${count}`;
      const button = h('button', { type: 'button', ...(count === 1 ? { class: 'main' } : {}) }, words);
      button.addEventListener('click', () => void this.run(count));
      return button;
    });
    this.list.append(
      h('div', {}, h('dt', {}, 'p50'), h('dd', {}, p50 ?? '', ' ', h('small', {}, 'ms'))),
      h('div', {}, h('dt', {}, 'p99'), h('dd', {}, p99 ?? '', ' ', h('small', {}, 'ms'))),
    );
    this.list.hidden = true;
    this.root = h(
      'section',
      { class: 'card probe', 'aria-labelledby': 'probe-title' },
      h(
        'div',
        { class: 'head' },
        h('h2', { id: 'probe-title' }, 'Try it from this browser'),
        h('p', { class: 'readout' }, `publishes to ${CHANNEL} and waits for it on the stream`),
      ),
      this.list,
      h('div', { class: 'actions' }, ...buttons),
      this.status,
    );
  }

  private async run(count: number): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    write(this.status, 'Opening a stream…');
    const end = this.stream.read((event) => {
      const token = tokenOf(event.data);
      if (token !== null) this.probes.seen(token, event.at);
    });
    let words = await this.opened();
    // One after the other: what is measured is one event's way, not a queue of this page's own making.
    for (let done = 0; done < count && words === ''; done += 1) {
      words = await this.measure(done + 1);
      this.draw();
    }
    end();
    this.busy = false;
    write(this.status, words === '' ? this.verdict(count) : words);
  }

  /** '' once the stream is open, else why it is not. */
  private async opened(): Promise<string> {
    const deadline = performance.now() + GIVE_UP_MS;
    for (;;) {
      const state = this.stream.state;
      if (state?.phase === 'open') return '';
      if (state?.phase === 'refused') return `The stream is refused: ${state.reason ?? 'no reason given'}.`;
      if (performance.now() > deadline)
        return `No stream within ${GIVE_UP_MS / 1000} s: ${state?.reason ?? 'no reason given'}.`;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  private async measure(n: number): Promise<string> {
    const token = newToken();
    const arrival = this.probes.sent(token, performance.now());
    const outcome = await this.api.request('/api/v1/events', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': token },
      body: JSON.stringify({ channel: CHANNEL, event: 'test', data: { probe: token, n } }),
    });
    if (!outcome.ok) {
      this.probes.giveUp(token);
      return told(outcome.failure);
    }
    const timer = setTimeout(() => this.probes.giveUp(token), GIVE_UP_MS);
    const milliseconds = await arrival;
    clearTimeout(timer);
    if (milliseconds === null)
      return `Accepted, but not seen within ${GIVE_UP_MS / 1000} s: see ./sse status and ./sse logs app.`;
    this.seen.add(milliseconds);
    return '';
  }

  private draw(): void {
    this.list.hidden = this.seen.all.length === 0;
    const [p50, p99] = this.figures;
    if (p50) write(p50, number(percentile(this.seen.all, 50)));
    if (p99) write(p99, number(percentile(this.seen.all, 99)));
  }

  private verdict(count: number): string {
    const all = this.seen.all.length;
    const few = all < 100 ? ' Below 100 samples, p99 is the slowest one.' : '';
    const last = count === 1 ? `Seen on the stream after ${number(this.seen.all.at(-1) ?? null)} ms. ` : '';
    return `${last}${counted(all, 'sample')} of this browser.${few}`;
  }
}

function told(failure: Failure): string {
  return `${failure.what} ${failure.advice}`;
}

/** crypto.randomUUID exists only on https and localhost; the page must also work on a plain address. */
function newToken(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

import { EventStream, type StreamState } from 'sse-platform-client';
import { type Outcome, request } from './api';
import { counted, number } from './format';
import { headline } from './headline';
import { RateWindow, summarise } from './rate';
import { RateChart } from './view/chart';
import { drawConnection, drawTrouble } from './view/connection';
import { calm, element, show } from './view/dom';
import { EventTable } from './view/events';
import { drawStats, HealthCard, ReplicaCard } from './view/health';
import { LatencyCard } from './view/latency';
import { themeButton } from './view/theme';

const WINDOW_SECONDS = 120;
/** Often enough that a failing check shows before a person wonders, seldom enough to cost nothing. */
const HEALTH_MS = 5_000;
/** A service without /stats isn't asked again soon: it only gains them with a new version. */
const NO_STATS_MS = 60_000;

const seconds = () => performance.now() / 1000;
const rate = new RateWindow(WINDOW_SECONDS, seconds());
const chart = new RateChart();
const table = new EventTable();
const health = new HealthCard();
const replicas = new ReplicaCard();

const stream = new EventStream({ channels: ['*'] });
stream.changed = streamChanged;
stream.on('*', (event) => {
  const at = performance.now();
  rate.event(at / 1000);
  table.event(event);
  latency.event(event.data, at);
  pulse();
  schedule();
});
const latency = new LatencyCard(
  () => stream.state,
  (outcome) => replicas.answered(outcome, performance.now()),
);

function streamChanged(state: StreamState, before: StreamState): void {
  if (state.phase === before.phase) return;
  rate.setOpen(seconds(), state.phase === 'open');
  if (state.phase === 'open' && state.opened > 1)
    table.note(`Reconnected, from ${state.replica ?? 'a replica without a name'}.`);
  if (before.phase === 'open') table.note(`The stream ended: ${state.reason ?? 'no reason given'}.`);
  if (state.phase !== 'connecting') void askHealth();
  schedule();
}

/** Five drawings a second are as many as one can read; hidden pages get no frames, so nothing is drawn for nobody. */
const DRAW_MS = 200;
let scheduled = false;
let drawnAt = Number.NEGATIVE_INFINITY;
function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  const frame = () =>
    requestAnimationFrame(() => {
      scheduled = false;
      drawnAt = performance.now();
      draw();
    });
  setTimeout(frame, Math.max(0, drawnAt + DRAW_MS - performance.now()));
}

function draw(): void {
  const now = performance.now();
  const state = stream.state;
  const { recent } = summarise(rate.history(now / 1000), 5);
  const words = headline(state, health.outcome, health.checks, recent, now);
  show('headline', words.text);
  show('subline', words.more);
  show('rate', number(recent));
  show('rate-note', recent === null ? 'not known: no open stream' : 'mean of the last 5 s');
  show('seen', number(table.seen));
  show('seen-unit', table.seen === 1 ? 'event' : 'events');
  show('doubles', table.doubles === 0 ? 'none twice' : `${counted(table.doubles, 'event')} came twice`);
  drawConnection(state, now);
  drawTrouble(state, health.outcome, health.checks ?? []);
  health.draw(now);
  replicas.draw(state.phase === 'open' ? state.replica : null, now);
  table.draw();
}

function everySecond(): void {
  if (document.hidden) return;
  chart.draw(rate.history(seconds()));
  schedule();
}

let asking = false;
async function askHealth(): Promise<void> {
  if (asking) return;
  asking = true;
  const outcome = await request('/api/v1/health/ready');
  asking = false;
  health.answered(outcome, performance.now());
  replicas.answered(outcome, performance.now());
  schedule();
}

let statsNotBefore = 0;
async function askStats(): Promise<void> {
  if (performance.now() < statsNotBefore) return;
  const outcome: Outcome = await request('/api/v1/stats');
  if (!outcome.ok) statsNotBefore = performance.now() + NO_STATS_MS;
  drawStats(outcome);
}

let pulsed = 0;
/** One soft ring per event, at most five a second. */
function pulse(): void {
  if (calm.matches || document.hidden || performance.now() - pulsed < 200) return;
  pulsed = performance.now();
  const ring = [
    { transform: 'scale(1)', opacity: 0.6 },
    { transform: 'scale(2.6)', opacity: 0 },
  ];
  element('ring').animate(ring, { duration: 700, easing: 'ease-out' });
}

function poll(): void {
  if (document.hidden) return;
  void askHealth();
  void askStats();
}

themeButton();
element('retry').addEventListener('click', () => {
  stream.retryNow();
  poll();
});
window.addEventListener('online', () => stream.retryNow());
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  stream.retryNow();
  poll();
});
setInterval(everySecond, 1000);
setInterval(poll, HEALTH_MS);
everySecond();
poll();

/** What the service takes, as GET /api/v1/limits tells it. */
export interface Bounds {
  eventBytes: number;
  batchEvents: number;
  bodyBytes: number;
  streamsPerAddress: number | null;
  publishRate: number | null;
  /** Null where load tests are refused. */
  loadTest: { eventsPerSecond: number; seconds: number } | null;
}

export interface LoadPlan {
  rate: number;
  size: number;
  channels: number;
  subscribers: number;
  seconds: number;
}

export function boundsOf(body: unknown): Bounds | null {
  if (typeof body !== 'object' || body === null) return null;
  const found = body as Record<string, unknown>;
  const test = found['load_test'] as Record<string, unknown> | undefined;
  const [eventBytes, batchEvents] = [numberOf(found['event_bytes']), numberOf(found['batch_events'])];
  const bodyBytes = numberOf(found['body_bytes']);
  if (eventBytes === null || batchEvents === null || bodyBytes === null) return null;
  const [rate, seconds] = [numberOf(test?.['events_per_second']), numberOf(test?.['seconds'])];
  return {
    eventBytes,
    batchEvents,
    bodyBytes,
    streamsPerAddress: numberOf(found['streams_per_address']),
    publishRate: numberOf(found['publish_rate']),
    loadTest: rate === null || seconds === null ? null : { eventsPerSecond: rate, seconds },
  };
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** What a browser holds open to one host over HTTP/1.1: this is a rule of browsers, and no setting. */
const CONNECTIONS = 6;
/** The log of this page's stream, the publisher of the test, and one for what the page asks. */
const TAKEN = 3;
/** Over HTTP/2 all streams share one connection; NGINX takes 128 at once by default, and the page needs some itself. */
const OVER_HTTP2 = 100;

/** @param protocol as PerformanceResourceTiming.nextHopProtocol says it */
export function mostSubscribers(protocol: string, bounds: Bounds): { most: number; why: string } {
  const multiplexed = protocol === 'h2' || protocol === 'h3';
  const most = multiplexed ? OVER_HTTP2 : CONNECTIONS - TAKEN;
  const address = bounds.streamsPerAddress;
  if (address !== null && address - 1 < most)
    return { most: Math.max(0, address - 1), why: `the service gives one address ${address} streams` };
  return multiplexed
    ? { most, why: `the page keeps to ${OVER_HTTP2} streams of one connection (${protocol})` }
    : {
        most,
        why: `a browser holds ${CONNECTIONS} connections to one host over HTTP/1.1, and this page needs ${TAKEN} of them`,
      };
}

/** What a test may take of the memory of this page; each event takes one byte more for each subscriber. */
const MOST_BYTES = 64 * 2 ** 20;
const EVENT_BYTES = 9; // when it was sent, and whether it was accepted

/** How long a test of this rate and these subscribers may last, so that the page can remember each of its events. */
export function mostRemembered({ rate, subscribers }: Pick<LoadPlan, 'rate' | 'subscribers'>): number {
  return Math.max(1, Math.floor(MOST_BYTES / (rate * (EVENT_BYTES + subscribers))));
}

/** An event tells its test, its number and when it was sent. */
export const SMALLEST = 90;
const MOST_CHANNELS = 100;

/** What is wrong with a plan, by field; nothing where it may run. */
export function refused(
  plan: LoadPlan,
  bounds: Bounds | null,
  protocol: string,
): Partial<Record<keyof LoadPlan, string>> {
  const found: Partial<Record<keyof LoadPlan, string>> = {};
  if (bounds === null)
    return { rate: 'The service does not tell its limits (GET /api/v1/limits), so no load test can be allowed.' };
  if (bounds.loadTest === null) return { rate: 'The service refuses load tests: app_load_test_rate is 0.' };
  const check = (field: keyof LoadPlan, least: number, most: number, why: string): void => {
    const value = plan[field];
    if (!Number.isInteger(value) || value < least) found[field] = `Give a whole number from ${least} to ${most}.`;
    else if (value > most) found[field] = `${value} is over the limit of ${most}: ${why}.`;
  };
  const [slow, shared] = [bounds.publishRate, bounds.loadTest.eventsPerSecond];
  const rate = slow !== null && slow < shared ? slow : shared;
  const whose =
    rate === shared ? 'app_load_test_rate, for all load tests together' : 'app_publish_rate, for one publisher';
  check('rate', 1, Math.floor(rate), `the service allows that many events a second (${whose})`);
  check('seconds', 1, bounds.loadTest.seconds, 'the service allows a test to last that long (app_load_test_seconds)');
  check('size', SMALLEST, bounds.eventBytes - 20, 'the service takes events of that many bytes (app_max_event_bytes)');
  check('channels', 1, MOST_CHANNELS, 'a stream takes that many names');
  const { most, why } = mostSubscribers(protocol, bounds);
  check('subscribers', 1, most, why);
  const remembered = mostRemembered(plan);
  if (Object.keys(found).length === 0 && plan.seconds > remembered)
    found.seconds = `At this rate, and with these subscribers, ${remembered} s is the limit: the page remembers each event, in at most 64 MiB.`;
  return found;
}

/** Data of exactly this many bytes, with what a subscriber needs to measure by. */
export function payload(test: string, n: number, size: number): Record<string, unknown> {
  const made = { load: test, n, fill: '' };
  return { ...made, fill: 'x'.repeat(Math.max(0, size - JSON.stringify(made).length)) };
}

/** Reads the number of an event of this test; null for anybody else's. By its text, because thousands come in a second. */
export function numberReader(test: string): (data: string) => number | null {
  const head = `{"load":${JSON.stringify(test)},"n":`;
  return (data) => {
    if (!data.startsWith(head)) return null;
    const end = data.indexOf(',', head.length);
    const digits = data.slice(head.length, end);
    return end > head.length && end - head.length < 10 && /^\d+$/.test(digits) ? Number(digits) : null;
  };
}

/** How many events one request may hold: as many as the service takes, in a body that it takes for sure. */
export function mostAtOnce(plan: LoadPlan, bounds: Bounds): number {
  const each = plan.size + 200; // its channel, its name and the signs of JSON
  return Math.max(1, Math.min(bounds.batchEvents, Math.floor(bounds.bodyBytes / each)));
}

/** How many events are due at a time, evenly spread: never more than all. */
export function due(plan: LoadPlan, milliseconds: number): number {
  const all = plan.rate * plan.seconds;
  return Math.min(all, Math.floor((plan.rate * Math.max(0, milliseconds)) / 1000));
}

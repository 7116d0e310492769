import { describe, expect, it } from 'vitest';
import type { Outcome } from './answers';
import { explain } from './answers';
import { type Facts, parts, readyOf, replicaHealth, type ReplicaHealth, sentence, STALE_MS, worst } from './parts';
import type { Alert, Target } from './promjson';
import type { Seen } from './result';

const NOW = 1_000_000;
const seen = <T>(value: T, at = NOW): Seen<T> => ({ value, at, failure: null, status: 200, asked: true });
const failed = <T>(what: string, status: number | null, at: number | null = null): Seen<T> => ({
  value: null,
  at,
  failure: { what, advice: 'See ./sse status.' },
  status,
  asked: true,
});
const outcome = (status: number, body: unknown, replica: string | null = 'app-1'): Outcome => {
  const answer = { status, replica, milliseconds: 3, body };
  return status === 200 && body !== undefined ? { ok: true, answer } : { ok: false, answer, failure: explain(answer) };
};
const OK = outcome(200, { status: 'ok', checks: { kafka: 'ok', redis: 'ok' } });
const gone = outcome(502, { code: 'replica-gone' });
const replica = (name: string, what: Outcome = OK) => replicaHealth(name, what);
const target = (instance: string, health: Target['health'] = 'up'): Target => ({
  job: 'app',
  instance,
  health,
  labels: {},
  error: '',
  url: '',
  scraped: 0,
  seconds: 0,
  every: 5,
});
const alert = (name: string, severity: string): Alert => ({
  name,
  state: 'firing',
  since: NOW / 1000 - 120,
  labels: { severity },
  annotations: { summary: `${name} happens` },
  value: 1,
});

const well: Facts = {
  replicas: seen([replica('app-1'), replica('app-2'), replica('app-3')]),
  edge: seen(OK),
  access: seen(outcome(200, {})),
  held: true,
  ahead: 0,
  alerts: seen<Alert[]>([alert('Watchdog', 'none')]),
  targets: seen([target('app-1:8000'), target('redis-exporter:9121')]),
};
const says = (change: Partial<Facts>, now = NOW): [state: string, sentence: string] => {
  const all = parts({ ...well, ...change }, now);
  return [worst(all), sentence(all)];
};

describe('the state is that of the worst part', () => {
  it('all is well only where every part said so', () => expect(says({})).toEqual(['good', 'All is well.']));

  it('one replica of three is stopped', () => {
    expect(says({ replicas: seen([replica('app-1'), replica('app-2', gone), replica('app-3')]) })).toEqual([
      'bad',
      'app-2 does not answer: 2 of 3 replicas are ready.',
    ]);
  });

  it('no replica answers: NGINX and the data services are told apart from that', () => {
    const all = parts(
      {
        ...well,
        replicas: seen([replica('app-1', gone), replica('app-2', gone)]),
        edge: seen(outcome(502, undefined)),
      },
      NOW,
    );
    expect(all[0]?.words).toBe('No replica answers.');
    expect(all.find((one) => one.name === 'Kafka')?.state).toBe('unknown');
  });

  it('NGINX that says itself that no replica answered is no second fault where none does', () => {
    const own = outcome(503, { title: 'No replica answered', detail: 'try again', status: 503, request_id: 'a' }, null);
    const nginx = (...replicas: ReplicaHealth[]) => {
      const all = parts({ ...well, replicas: seen(replicas), edge: seen(own) }, NOW);
      const found = all.find((one) => one.name === 'NGINX');
      return [found?.state, found?.words];
    };
    expect(nginx(replica('app-1', gone), replica('app-2', gone))).toEqual([
      'good',
      'NGINX answers; no replica behind it does.',
    ]);
    expect(nginx(replica('app-1'), replica('app-2'))).toEqual([
      'bad',
      'NGINX reaches no replica, though they answer this page.',
    ]);
  });

  it('alerts of one rule are one thing to look at, and the oldest of them speaks', () => {
    const old = { ...alert('Restarts', 'warning'), since: 1, annotations: { summary: 'app-2 was started often' } };
    const alerts = seen([alert('Restarts', 'warning'), old, alert('Restarts', 'warning'), alert('Late', 'warning')]);
    const all = parts({ ...well, alerts }, NOW);
    expect(parts({ ...well, alerts: { ...alerts, value: [...(alerts.value ?? [])].reverse() } }, NOW)).toEqual(all);
    expect(all.filter((one) => one.name.startsWith('Alert ')).map((one) => one.words)).toEqual([
      'app-2 was started often, and 2 more like it.',
      'Late happens.',
    ]);
    expect(sentence(all)).toBe('app-2 was started often, and 2 more like it, and 1 more thing to look at.');
  });

  it('Kafka is stopped', () => {
    const without = outcome(503, { status: 'unavailable', checks: { kafka: 'KafkaConnectionError', redis: 'ok' } });
    const [state, words] = says({
      replicas: seen([replica('app-1', without), replica('app-2', without)]),
      edge: seen(without),
    });
    expect([state, words]).toEqual(['bad', 'Kafka answers no replica.']);
  });

  it.each([
    ['catching up', { status: 'unavailable', checks: { kafka: 'catching up', redis: 'ok' } }],
    ['stopping', { status: 'draining', checks: { kafka: 'ok', redis: 'ok' } }],
  ])('nobody is served where every replica is %s, although all of them answer', (_, body) => {
    const none = outcome(503, body);
    const nobody = ['bad', 'No replica is ready, so nobody can publish or open a stream.'];
    expect(says({ replicas: seen([replica('app-1', none), replica('app-2', none)]) })).toEqual(nobody);
    expect(says({ replicas: seen([replica('app-1', none)]) })).toEqual(nobody);
    expect(says({ replicas: seen([replica('app-1', none), replica('app-2')]) })[0]).toBe('warning');
  });

  it('what follows from Kafka is as bad, comes after it, and is not counted again', () => {
    const without = outcome(503, { status: 'unavailable', checks: { kafka: 'KafkaConnectionError', redis: 'ok' } });
    const replicas = seen([replica('app-1', without), replica('app-2', without)]);
    const all = parts({ ...well, replicas, alerts: failed('Prometheus does not answer.', 502) }, NOW);
    expect(all.slice(0, 3).map((one) => [one.name, one.state])).toEqual([
      ['Kafka', 'bad'],
      ['Prometheus', 'bad'],
      ['Replicas', 'bad'],
    ]);
    expect(sentence(all)).toBe('Kafka answers no replica, and 1 more thing to look at.');
  });

  it('Redis is stopped: a warning, since streams go on', () => {
    const without = outcome(200, { status: 'degraded', checks: { kafka: 'ok', redis: 'unavailable' } });
    expect(says({ replicas: seen([replica('app-1', without), replica('app-2')]) })).toEqual([
      'warning',
      'Redis does not answer app-1.',
    ]);
  });

  it('NGINX is gone while every replica works', () => {
    expect(says({ edge: seen(outcome(502, { code: 'nginx-gone' })) })).toEqual([
      'bad',
      'NGINX does not answer: nobody outside reaches the platform.',
    ]);
  });

  it('Prometheus is gone', () => {
    expect(
      says({ alerts: failed('Prometheus does not answer.', 502), targets: failed('Prometheus does not answer.', 502) }),
    ).toEqual(['bad', 'Prometheus does not answer, so alerts and graphs are not known.']);
  });

  it('one late answer of Prometheus is no fault, and the next one is', () => {
    const alerts = { ...failed<Alert[]>('Prometheus does not answer within 5 s.', null, NOW), value: [] };
    expect(says({ alerts }, NOW + 7000)).toEqual(['good', 'All is well.']);
    expect(says({ alerts }, NOW + 9000)[0]).toBe('bad');
    const fires = { ...alerts, value: [alert('TargetDown', 'critical')] };
    expect(says({ alerts: fires }, NOW + 7000)[1]).toBe('TargetDown happens.');
  });

  it('a token that has expired', () => {
    const [state, words] = says({
      access: seen(outcome(401, { title: 'Unauthorized', detail: 'the token has expired' })),
    });
    expect([state, words]).toEqual([
      'warning',
      'The platform does not accept this page’s token: Unauthorized: the token has expired.',
    ]);
  });

  it('a page without a token says what it does not see, and the platform is well all the same', () => {
    const all = parts({ ...well, access: seen(outcome(401, {})), held: false }, NOW);
    expect(worst(all)).toBe('good');
    expect(all.find((one) => one.name === 'Token')?.words).toContain('sends no token');
  });

  it('an API that answers with a page', () => {
    expect(says({ edge: seen(outcome(200, undefined)) })).toEqual([
      'bad',
      'The API answers with a page and not with JSON.',
    ]);
  });

  it('alerts by their severity, and the watchdog is none', () => {
    expect(says({ alerts: seen([alert('ConsumerLag', 'warning')]) })).toEqual(['warning', 'ConsumerLag happens.']);
    expect(says({ alerts: seen([alert('ConsumerLag', 'warning'), alert('TargetDown', 'critical')]) })[1]).toBe(
      'TargetDown happens.',
    );
  });

  it('an exporter that Prometheus does not reach', () => {
    const targets = seen([target('app-1:8000', 'down'), target('redis-exporter:9121', 'down')]);
    expect(says({ targets })).toEqual(['warning', 'redis-exporter does not answer Prometheus.']);
  });

  it('Prometheus tells its alerts, but not what it reads, or that it reads nothing', () => {
    expect(says({ targets: failed('Prometheus does not answer within 5 s.', null) })).toEqual([
      'unknown',
      'What Prometheus reads is not known: Prometheus does not answer within 5 s.',
    ]);
    expect(says({ targets: seen<Target[]>([]) })).toEqual([
      'unknown',
      'Prometheus reads no metrics, so no alert can fire.',
    ]);
  });

  it('a computer whose clock is wrong says nothing about the platform, and is told', () => {
    const all = parts({ ...well, ahead: -7_200_000 }, NOW);
    expect([worst(all), sentence(all)]).toEqual(['good', 'All is well.']);
    expect(all.find((one) => one.name === 'Clock')?.words).toBe(
      'The clocks of this computer and of the platform differ by 2 h.',
    );
  });

  it('the server of the page is gone: nothing is known, and nothing is green', () => {
    const no = failed<never>('The server of this page does not answer.', null, NOW - 1000);
    expect(says({ replicas: no, edge: no, alerts: no, access: no, targets: no })).toEqual([
      'bad',
      'The server of this page does not answer, so nothing is known.',
    ]);
  });

  it('what was good is not shown as good when it is old', () => {
    const [state, words] = says({}, NOW + STALE_MS + 1);
    expect(state).toBe('unknown');
    expect(words).toContain('not known since 15 s');
    expect(readyOf(well.replicas, NOW + STALE_MS + 1)).toBeNull();
  });

  it('a pause is said while it is known, and no longer', () => {
    const paused = ['app-1', 'app-2', 'app-3'].map((name) =>
      replica(name, outcome(200, { status: 'ok', checks: { kafka: 'ok', redis: 'ok', publishing: 'paused' } })),
    );
    expect(says({ replicas: seen(paused) })).toEqual(['warning', 'Publishing is paused.']);
    const lost = {
      ...failed<typeof paused>('The page’s server does not answer', null, NOW - STALE_MS - 1),
      value: paused,
    };
    expect(says({ replicas: lost })[1]).not.toContain('paused');
  });

  it('says how many other things need a look', () => {
    const replicas = seen([replica('app-1'), replica('app-2', gone)]);
    expect(says({ replicas, alerts: failed('Prometheus does not answer.', 502) })[1]).toBe(
      'app-2 does not answer: 1 of 2 replicas is ready, and 1 more thing to look at.',
    );
  });
});

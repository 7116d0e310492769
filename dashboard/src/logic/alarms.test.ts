import { describe, expect, it } from 'vitest';
import { alarms, besides, calling, drawn, headline, lastRise, linkOf, matches, naming } from './alarms';
import type { Alert, Range, Rule, Target } from './promjson';

const NOW = 1_000_000_000;

function alert(state: 'firing' | 'pending', since: number, labels: Record<string, string> = {}): Alert {
  return {
    name: 'x',
    state,
    since,
    labels,
    annotations: { summary: `${labels['instance'] ?? 'it'} is down` },
    value: 1,
  };
}

function rule(name: string, changes: Partial<Rule> = {}, severity = 'warning'): Rule {
  return {
    kind: 'alerting',
    name,
    group: 'app',
    expression: 'up == 0',
    for: 60,
    state: 'inactive',
    health: 'ok',
    error: '',
    labels: { severity },
    annotations: {},
    alerts: [],
    ...changes,
  };
}

describe('rules', () => {
  it('come in the order in which somebody on call needs them', () => {
    const all = alarms([
      rule('Watchdog', { alerts: [alert('firing', 1)] }, 'none'),
      rule('Quiet'),
      rule('Broken', { health: 'err', error: 'many-to-many' }),
      rule('Soon', { alerts: [alert('pending', 5)] }),
      rule('Known', { alerts: [alert('firing', 9)] }, 'info'),
      rule('Small', { alerts: [alert('firing', 9)] }),
      rule('Big', { alerts: [alert('firing', 9)] }, 'critical'),
      { ...rule('recorded'), kind: 'recording' },
    ]);
    expect(all.map((one) => one.rule.name)).toEqual(['Big', 'Small', 'Known', 'Soon', 'Broken', 'Quiet', 'Watchdog']);
    expect(besides(all)).toBe(
      '1 more rule fires that is only worth knowing. 1 rule is about to fire. 1 rule is not known.',
    );
    expect(headline(all)).toBe('2 alerts fire, 1 of them critical.');
  });

  it.each([
    [[], 'Prometheus has no rules, so nothing can fire.'],
    [[rule('A')], 'Nothing fires.'],
    [[rule('A', { alerts: [alert('firing', 1)] }, 'critical')], '1 alert fires, and users notice.'],
    [[rule('A', { alerts: [alert('firing', 1)] }), rule('B', { alerts: [alert('firing', 1)] })], '2 alerts fire.'],
    [[rule('Watchdog', {}, 'none')], 'Nothing that is known fires.'],
  ])('are summed up in one sentence (%#)', (rules, words) => {
    expect(headline(alarms(rules))).toBe(words);
  });

  it('that could not be evaluated are not quiet', () => {
    const [failed, fresh] = alarms([rule('A', { health: 'err', error: 'boom' }), rule('B', { health: 'unknown' })]);
    expect([failed?.state, failed?.words]).toEqual(['unknown', 'Prometheus cannot evaluate it: boom']);
    expect([fresh?.state, fresh?.words]).toEqual(['unknown', 'Prometheus has not evaluated it yet']);
  });

  it('tell since when the first alert fires, and how many more there are', () => {
    const alerts = [
      alert('firing', 30, { instance: 'b' }),
      alert('pending', 10),
      alert('firing', 20, { instance: 'a' }),
    ];
    const [one] = alarms([rule('A', { alerts })]);
    expect([one?.since, one?.words]).toEqual([20, 'a is down, and 1 more like it']);
  });

  it('are found by what they are about', () => {
    const [one] = alarms([rule('TargetDown', { alerts: [alert('firing', 1, { instance: 'app-2:8000' })] })]);
    if (one === undefined) throw new Error('no rule');
    expect(['targetdown', ' APP-2', 'up ==', ''].map((text) => matches(one, text))).toEqual([true, true, true, true]);
    expect(matches(one, 'kafka')).toBe(false);
  });
});

describe('receivers', () => {
  const times = [NOW - 120, NOW - 60, NOW];
  const range = (values: Record<string, (number | null)[]>): Range => ({
    times,
    series: Object.entries(values).map(([receiver_name, list]) => ({ labels: { receiver_name }, values: list })),
  });
  const target = (health: 'up' | 'down'): Target[] => [
    { job: 'alertmanager', instance: 'x', labels: {}, health, error: '', url: '', scraped: 0, seconds: 0, every: 5 },
  ];
  const told = (sent: Record<string, (number | null)[]>, failed: Record<string, (number | null)[]>) =>
    calling(target('up'), range(sent), range(failed), NOW * 1000);

  it('are nobody where no Alertmanager is asked for, and not known while it is silent', () => {
    expect(calling([], range({}), range({}), NOW * 1000).words).toBe('Nobody is called: alerts_to names no receiver.');
    const down = calling(target('down'), range({}), range({}), NOW * 1000);
    expect([down.state, down.words]).toEqual(['bad', 'Nobody is called: Alertmanager does not answer.']);
    expect(told({}, {}).state).toBe('unknown');
  });

  it('are well where they took the last message, and not where it failed', () => {
    const found = told(
      { webhook: [1, 2, 2], email: [1, 1, 3], ntfy: [4, 4, 4], slack: [1, 2, 4] },
      { webhook: [0, 0, 0], email: [0, 0, 2], ntfy: [1, 1, 1], slack: [0, 1, 2] },
    );
    expect(found.receivers.map((one) => [one.name, one.state])).toEqual([
      ['email', 'bad'],
      ['ntfy', 'idle'],
      ['slack', 'good'],
      ['webhook', 'good'],
    ]);
    expect(found.receivers.map((one) => one.words)).toEqual([
      'The last message failed 0 s ago.',
      'Nothing was sent to it for 2 min.',
      'It took the last message 0 s ago.',
      'It took the last message 60 s ago.',
    ]);
    expect([found.state, found.words]).toEqual(['bad', 'The receiver email does not take alerts.']);
    expect(told({ a: [0, 1, 1], b: [0, 1, 1] }, {}).words).toBe('The receivers a and b are told.');
  });

  it.each([
    [[], null],
    [[null, null, 3], null],
    [[1, 1, 1], null],
    [[1, 2, 2], NOW - 60],
    [[5, null, 6], NOW],
    [[5, 0, 0], null],
    [[5, 1, 1], NOW - 60],
  ])('a counter %j grew last at %j', (values, at) => {
    expect(lastRise(times, values)).toBe(at);
  });
});

describe('what is drawn of an expression', () => {
  it.each([
    ['up == 0', 'up', '0'],
    [
      'sum(rate(a{b=~"x|y>3"}[5m])) / sum(rate(c[5m])) > 0.01',
      'sum(rate(a{b=~"x|y>3"}[5m])) / sum(rate(c[5m]))',
      '0.01',
    ],
    ['a - time() < clamp_max(b / 4, 14 * 86400)', 'a - time()', 'clamp_max(b / 4, 14 * 86400)'],
    ['absent(sse_ready)', 'absent(sse_ready)', ''],
    ['a > 1 and b > 2', 'a > 1 and b > 2', ''],
    ['a > 1 or b', 'a > 1 or b', ''],
    ['(a or b) > 2', '(a or b)', '2'],
    ['ordinary > 2', 'ordinary', '2'],
    ['a > on (slo) group_left () 14 * b', 'a > on (slo) group_left () 14 * b', ''],
    ['a{b="\\""} >= 2', 'a{b="\\""}', '2'],
    ['', '', ''],
  ])('%s', (expression, left, limit) => {
    expect(drawn(expression)).toEqual({ expression: left, limit });
  });
});

it('only web addresses become links', () => {
  expect(linkOf('https://example.org/runbook.md#x')).toBe('https://example.org/runbook.md#x');
  expect(['javascript:alert(1)', 'docs/runbook.md', '', undefined].map(linkOf)).toEqual([null, null, null, null]);
});

it('a series is named by what tells it apart', () => {
  expect(naming({ alertname: 'A', severity: 'b', instance: 'app-1:8000', job: 'app' })).toBe('app-1:8000, job app');
  expect(naming({})).toBe('all together');
});

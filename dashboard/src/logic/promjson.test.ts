import { describe, expect, it } from 'vitest';
import { alertsOf, duration, rangeOf, rulesOf, samplesOf, targetsOf } from './promjson';

describe('what Prometheus says', () => {
  it('a hole of a range is null, and so is what is not a number', () => {
    const values = [
      [100, '1'],
      [110, 'NaN'],
      [130, '0'],
      [999, '5'],
    ];
    const range = rangeOf({ resultType: 'matrix', result: [{ metric: { job: 'app' }, values }] }, 100, 130, 10);
    expect(range.times).toEqual([100, 110, 120, 130]);
    expect(range.series).toEqual([{ labels: { job: 'app' }, values: [1, null, null, 0] }]);
  });

  it('a vector and a scalar are samples, without what is not a number', () => {
    const result = [
      { metric: { instance: 'a' }, value: [5, '2.5'] },
      { metric: { instance: 'b' }, value: [5, 'NaN'] },
    ];
    expect(samplesOf({ resultType: 'vector', result })).toEqual([{ labels: { instance: 'a' }, value: 2.5, at: 5 }]);
    expect(samplesOf({ resultType: 'scalar', result: [7, '3'] })).toEqual([{ labels: {}, value: 3, at: 7 }]);
  });

  it.each([
    null,
    'text',
    7,
    [],
    {},
    { result: {} },
    { groups: [3, { rules: [null] }], alerts: [1], activeTargets: ['x'] },
  ])('nothing is read from %j, and nothing fails', (data) => {
    for (const read of [samplesOf, alertsOf, rulesOf, targetsOf]) expect(read(data)).toEqual([]);
    expect(rangeOf(data, 0, 1, 1).series).toEqual([]);
  });

  it('an alert has its state and since when', () => {
    const alerts = [
      { labels: { alertname: 'TargetDown' }, state: 'firing', activeAt: '1970-01-01T00:01:00Z', value: '1e+00' },
    ];
    expect(alertsOf({ alerts })).toMatchObject([{ name: 'TargetDown', state: 'firing', since: 60, value: 1 }]);
  });
});

it.each([
  ['1m30s', 90],
  ['500ms', 0.5],
  ['', 0],
])('the duration %j is %f s', (words, seconds) => expect(duration(words)).toBe(seconds));

it('an alert says commands without the backticks of its text', () => {
  const annotations = { summary: 'Kafka is down', description: '`./sse logs kafka` says why.', other: 7 };
  const [alert] = alertsOf({ alerts: [{ state: 'firing', labels: { alertname: 'KafkaDown' }, annotations }] });
  expect(alert?.annotations).toEqual({ summary: 'Kafka is down', description: './sse logs kafka says why.' });
});

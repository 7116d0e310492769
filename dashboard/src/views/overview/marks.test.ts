import { expect, it } from 'vitest';
import { marksOf } from './marks';

const starts = { times: [0, 10, 20, 30], series: [{ labels: { instance: 'app-1:8000' }, values: [5, 5, null, 22] }] };
const alerts = {
  times: [0, 10, 20, 30],
  series: [{ labels: { alertname: 'TargetDown' }, values: [null, 1, 1, null] }],
};
const releases = {
  releases: [
    { number: 9, when: '1970-01-01T00:00:15Z', commit: '6f29dad' },
    { number: 1, when: 'never' },
  ],
};

it('releases, restarts and the beginning of alerts are marked in their order', () => {
  expect(marksOf(releases, starts, alerts, 0, 30)).toEqual([
    { at: 10, kind: 'alert', words: 'alert TargetDown' },
    { at: 15, kind: 'release', words: 'release 9 (6f29dad)' },
    { at: 22, kind: 'restart', words: 'app-1 started anew' },
  ]);
});

it('nothing outside of the span is marked', () => expect(marksOf(releases, starts, alerts, 16, 20)).toEqual([]));

it.each([null, {}, { releases: 3 }, { releases: [null, 7, {}] }])('%j holds no release to mark', (file) =>
  expect(marksOf(file, null, null, 0, 99)).toEqual([]),
);

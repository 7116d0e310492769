import { describe, expect, it } from 'vitest';
import example from './examples/releases.json';
import type { Releases, Run } from './files';
import { chosen, doubtful, type Entry, entries, failed, outcomeWords, summary, verifiedWords } from './history';

const FILE = example as unknown as Releases;
const ALL = entries(FILE);
const numbered = (number: number): Entry => ALL.find((one) => one.number === number) as Entry;

describe('the story of a stack', () => {
  it('tells a release and the run that made it once, the newest first', () => {
    expect(ALL.map((one) => one.number)).toEqual([4, null, 3, 2, 1]);
    expect(numbered(4)).toMatchObject({
      runsNow: true,
      asked: 'up',
      why: 'more memory for long resumes',
    });
  });

  it('tells why a release failed by the run that tried it', () => {
    expect(numbered(3).outcome).toBe('failed');
    expect(numbered(3).error).toContain('did not become healthy');
    expect(failed(numbered(3))).toBe(true);
  });

  it('offers a way back to each release that was applied and does not run', () => {
    expect(ALL.filter((one) => one.back !== '').map((one) => [one.number, one.back])).toEqual([
      [2, './sse rollback 2'],
      [1, './sse rollback 1'],
    ]);
  });

  it('says what the verification found, and nothing where there was none', () => {
    expect(verifiedWords(numbered(4))).toMatch(/^All as it should be, of 13 health checks, /);
    expect(verifiedWords(numbered(2))).toMatch(/^1 finding, of /);
    expect(doubtful(numbered(2))).toBe(true);
    expect([4, 2].map((number) => outcomeWords(numbered(number)))).toEqual(['runs now', 'applied, 1 finding']);
    expect(verifiedWords(numbered(3))).toBe('');
  });

  it('tells a run that nobody ended as interrupted', () => {
    const run = { ...(FILE.runs[0] as Run), when: '2026-03-04T00:00:00Z', outcome: 'interrupted' as const };
    const [first] = entries({ ...FILE, runs: [run, ...FILE.runs] });
    expect([first?.number, first && outcomeWords(first)]).toEqual([null, 'interrupted']);
  });
});

describe('what is shown of it', () => {
  it.each([
    ['all', [4, null, 3, 2, 1]],
    ['releases', [4, 3, 2, 1]],
    ['failed', [3, 2]],
    ['others', [null]],
  ] as const)('%s', (only, numbers) => {
    expect(chosen(ALL, only, '').map((one) => one.number)).toEqual(numbers);
  });

  it('is found by whatever is said of it', () => {
    const found = (text: string) => chosen(ALL, 'all', text).map((one) => one.number);
    expect(found('grace')).toEqual([3, 2]);
    expect(found('SSE_LOG_LEVEL')).toEqual([3]);
    expect(found('aa1b1e0')).toEqual([4]);
    expect(found('nobody says this')).toEqual([]);
  });
});

it('a run is summed up by what it did', () => {
  const change = (kind: string, container: string) => ({ kind, container, what: [] });
  expect(
    summary([change('replace', 'a'), change('reload', 'n'), change('replace', 'b')], ['publishing was paused']),
  ).toBe('replaced a and b; reloaded n; publishing was paused');
  expect(
    summary(
      ['a', 'b', 'c', 'd'].map((one) => change('create', one)),
      [],
    ),
  ).toBe('created 4 containers');
  expect(summary([], [])).toBe('nothing');
});

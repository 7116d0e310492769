import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { bad, good, type Result } from '../logic/result';
import { Polled } from './polled';

const tab = { hidden: false, addEventListener: () => {}, removeEventListener: () => {} };
const faults: unknown[] = [];

beforeEach(() => {
  tab.hidden = false;
  faults.length = 0;
  vi.stubGlobal('document', tab);
  vi.stubGlobal('reportError', (error: unknown) => faults.push(error));
});
afterEach(() => vi.unstubAllGlobals());

describe('a value that is asked for again and again', () => {
  it('keeps the last one, and says why there is none since then', async () => {
    const answers: Result<number>[] = [good(7, 1000), bad('It is gone.', 'See ./sse status.', 502)];
    const polled = new Polled(async () => answers.shift() ?? bad('', ''), 1000);
    expect([polled.asked, polled.value, polled.age(5000)]).toEqual([false, null, null]);
    await polled.ask();
    expect([polled.value, polled.failure, polled.age(5000)]).toEqual([7, null, 4000]);
    await polled.ask();
    expect([polled.value, polled.failure?.what, polled.status, polled.age(5000)]).toEqual([
      7,
      'It is gone.',
      502,
      4000,
    ]);
  });

  it('no late answer replaces a newer one', async () => {
    const waiting: ((result: Result<string>) => void)[] = [];
    const polled = new Polled<string>(() => new Promise((resolve) => waiting.push(resolve)), 1000);
    const [first, second] = [polled.ask(), polled.ask(true)];
    waiting[1]?.(good('new'));
    await second;
    waiting[0]?.(good('old'));
    await first;
    expect(polled.value).toBe('new');
  });

  it('is not asked while an answer is awaited, nor while the tab is hidden', async () => {
    let asked = 0;
    const polled = new Polled<number>(() => new Promise(() => (asked += 1)), 1000);
    void polled.ask();
    void polled.ask();
    expect(asked).toBe(1);
    tab.hidden = true;
    void new Polled<number>(() => new Promise(() => (asked += 1)), 1000).ask();
    expect(asked).toBe(1);
  });

  it('a reader that fails keeps the answer from nobody else', async () => {
    const polled = new Polled(async () => good(1), 1000);
    let heard = 0;
    polled.changed(() => {
      throw new Error('of one view');
    });
    polled.changed(() => (heard += 1));
    await polled.ask();
    expect([heard, faults.length]).toEqual([1, 1]);
  });
});

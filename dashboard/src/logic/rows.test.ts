import { describe, expect, it } from 'vitest';
import { matcher, terms } from './filters';
import { Queue, type Row, Rows } from './rows';

function row(data: string, more: Partial<Row> = {}): Omit<Row, 'n'> {
  const whole = { at: 0, kind: 'event', channel: 'orders', event: 'message', id: null, time: null, traceparent: null };
  return { ...whole, data, ...more } as Omit<Row, 'n'>;
}

const shown = (rows: Rows) => Array.from({ length: rows.length }, (_, index) => rows.at(index)?.data);

describe('a queue', () => {
  it('gives what a list gives, whatever is pushed and shifted', () => {
    const [queue, model] = [new Queue<number>(), [] as number[]];
    let chance = 7;
    for (let step = 0; step < 20_000; step += 1) {
      chance = (chance * 1103515245 + 12345) % 2147483648;
      // Mostly full and then mostly empty, in turn.
      if (chance / 2147483648 < (step % 8_000 < 4_000 ? 0.7 : 0.3)) {
        queue.push(step);
        model.push(step);
      } else expect(queue.shift()).toBe(model.shift());
      expect(queue.length).toBe(model.length);
      const place = step % (model.length + 2);
      expect(queue.at(place)).toBe(model[place]);
    }
    expect([...queue]).toEqual(model);
    expect(queue.at(-1)).toBeUndefined();
  });
});

describe('the rows of the log', () => {
  it('are the newest, the newest of them first', () => {
    const rows = new Rows(3);
    for (const data of 'abcde') rows.add(row(data));
    expect(shown(rows)).toEqual(['e', 'd', 'c']);
    expect([rows.kept, rows.at(3), rows.at(-1)]).toEqual([3, undefined, undefined]);
  });

  it('are fewer where they are large, and never none', () => {
    const rows = new Rows(100, 1_000);
    for (let n = 0; n < 50; n += 1) rows.add(row('x'.repeat(100)));
    expect(rows.kept).toBeLessThan(10);
    rows.add(row('x'.repeat(10_000)));
    expect(rows.kept).toBe(1);
  });

  it('stay where they are while they are held, and the new ones are counted', () => {
    const rows = new Rows(4);
    for (const data of 'abc') rows.add(row(data));
    rows.hold(true);
    for (const data of 'de') rows.add(row(data));
    expect([shown(rows), rows.waiting]).toEqual([['c', 'b'], 2]);
    for (const data of 'fghij') rows.add(row(data));
    expect([shown(rows), rows.waiting]).toEqual([[], 4]);
    rows.hold(false);
    expect([shown(rows), rows.waiting]).toEqual([['j', 'i', 'h', 'g'], 0]);
  });

  it('are filtered anew, also while they are held', () => {
    const rows = new Rows();
    for (const data of ['one', 'two', 'three']) rows.add(row(data));
    rows.hold(true);
    rows.add(row('tone'));
    rows.filter((one) => one.data.includes('o'));
    expect([shown(rows), rows.waiting]).toEqual([['two', 'one'], 1]);
    rows.add(row('ozone'));
    rows.add(row('x'));
    expect(rows.waiting).toBe(2);
    rows.hold(false);
    expect(shown(rows)).toEqual(['ozone', 'tone', 'two', 'one']);
    expect([...rows].map((one) => one.data)).toEqual(['one', 'two', 'tone', 'ozone']);
  });

  it('know where each of them is shown', () => {
    const rows = new Rows(50);
    for (let n = 0; n < 120; n += 1) rows.add(row(String(n)));
    rows.filter((one) => Number(one.data) % 3 === 0);
    for (let place = 0; place < rows.length; place += 1) expect(rows.placeOf(rows.at(place)?.n ?? -1)).toBe(place);
    expect([rows.placeOf(1), rows.placeOf(0), rows.placeOf(119)]).toEqual([null, null, null]);
  });

  it('are the same by filter and hold as a plain list says', () => {
    const rows = new Rows(20);
    const model: string[] = [];
    let chance = 3;
    let wanted = (one: { data: string }) => one.data !== '';
    for (let n = 0; n < 3_000; n += 1) {
      chance = (chance * 1103515245 + 12345) % 2147483648;
      const data = String(chance % 10);
      rows.add(row(data));
      model.push(data);
      if (n % 37 === 0) {
        const digit = data;
        wanted = (one) => one.data <= digit;
        rows.filter(wanted);
      }
      expect(shown(rows)).toEqual(
        model
          .slice(-20)
          .filter((one) => wanted({ data: one }))
          .reverse(),
      );
    }
  });

  it('are cleared', () => {
    const rows = new Rows();
    rows.add(row('a'));
    rows.hold(true);
    rows.clear();
    expect([rows.length, rows.waiting, rows.kept]).toEqual([0, 0, 0]);
    rows.add(row('b'));
    rows.hold(false);
    expect(shown(rows)).toEqual(['b']);
  });
});

describe('a filter', () => {
  it.each<[field: string, word: string, passes: boolean]>([
    ['', 'orders', true],
    ['orders', 'my-orders.eu', true],
    ['ORD', 'orders', true],
    ['orders.*', 'orders.eu', true],
    ['orders.*', 'my.orders.eu', false],
    ['*.eu', 'orders.eu', true],
    ['o*.e*u', 'orders.eu', true],
    ['ab*ba', 'aba', false],
    ['a*a*a', 'aa', false],
    ['a*a*a', 'aaa', true],
    ['*', '', true],
    ['stock news', 'news', true],
    ['stock news', 'orders', false],
    ['-orders', 'orders.eu', false],
    ['-orders', 'news', true],
    ['o -*.eu', 'orders.eu', false],
    ['-', 'a-b', true],
    ['.*+(', 'x', false],
    ['(', 'a(b', true],
  ])('%j on %j: %s', (field, word, passes) => {
    expect(terms(field)(word)).toBe(passes);
  });

  it('of many stars is not slow', () => {
    const begun = performance.now();
    terms('*a'.repeat(30))('a'.repeat(29).repeat(1000) + 'b');
    expect(performance.now() - begun).toBeLessThan(1000);
  });

  it('looks at channel, name and text, and lets pass what the stream says itself', () => {
    const passes = matcher({ channel: 'orders', name: 'created', text: 'Äx(' });
    const event = { kind: 'event' as const, channel: 'orders', event: 'created', data: '… äX( …', id: '1-a' };
    expect(passes(event)).toBe(true);
    expect(passes({ ...event, channel: null })).toBe(false);
    expect(passes({ ...event, event: 'gone' })).toBe(false);
    expect(passes({ ...event, data: 'x' })).toBe(false);
    expect(passes({ ...event, kind: 'gap', data: 'x' })).toBe(true);
    expect(matcher({ channel: '', name: '', text: '1-a' })(event)).toBe(true);
  });
});

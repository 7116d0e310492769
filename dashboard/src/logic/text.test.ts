import { describe, expect, it } from 'vitest';
import { beginning, bytesOf, pretty, sizeOf, strangeIn, visible } from './text';

describe('what an event holds', () => {
  it('shows controls and what hides or turns text', () => {
    expect(visible('a\0b\x1b[31m\x7f\x85\r\n\tz')).toBe('a⟨00⟩b⟨1B⟩[31m⟨7F⟩⟨0085⟩⟨0D⟩↵→z');
    expect(visible('a\n\tb\r', true)).toBe('a\n\tb⟨0D⟩');
    expect(visible('x\u202egpj.exe\u200b\ufeff')).toBe('x⟨202E⟩gpj.exe⟨200B⟩⟨FEFF⟩');
    expect(visible('\ud800x\udc00')).toBe('⟨D800⟩x⟨DC00⟩');
    expect(visible('naïve 😀 日本 עברית')).toBe('naïve 😀 日本 עברית');
    expect(visible('\u{e0041}\u{e0141}\ufe01\u3164')).toBe('⟨E0041⟩⟨E0141⟩⟨FE01⟩⟨3164⟩');
    expect(visible('❤\ufe0f')).toBe('❤\ufe0f');
  });

  it('is cut without half a pair', () => {
    expect(beginning('a😀b', 2)).toEqual({ text: 'a', whole: false });
    expect(beginning('a😀b', 3)).toEqual({ text: 'a😀', whole: false });
    expect(beginning('abc', 3)).toEqual({ text: 'abc', whole: true });
  });

  it.each([
    ['{"n":1,"list":[1,2,[]],"o":{}}', '{\n  "n": 1,\n  "list": [\n    1,\n    2,\n    []\n  ],\n  "o": {}\n}', 3],
    ['"a\\"b,{["', '"a\\"b,{["', 0],
    ['[ 1 , 2 ]', '[\n  1,\n  2\n]', 1],
    ['{"a":1,"a":123456789012345678901234567890}', '{\n  "a": 1,\n  "a": 123456789012345678901234567890\n}', 1],
    ['  true ', 'true', 0],
    ['[{ }]', '[\n  {}\n]', 2],
  ])('%s is pretty', (text, expected, depth) => {
    expect(pretty(text, 10_000)).toEqual({ text: expected, json: true, whole: true, depth });
  });

  it('of 10,000 levels and of a megabyte is shown in part, at once', () => {
    const begun = performance.now();
    const deep = pretty('['.repeat(10_000) + ']'.repeat(10_000), 100_000);
    expect([deep.json, deep.whole]).toEqual([true, false]);
    expect(deep.depth).toBeGreaterThan(1_000);
    expect(pretty(`"${'x'.repeat(1_000_000)}"`, 1_000)).toMatchObject({ json: true, whole: false });
    expect(pretty(`[${'1,'.repeat(500_000)}1]`, 1_000).text.length).toBeLessThanOrEqual(1_000);
    expect(performance.now() - begun).toBeLessThan(3_000);
  });

  it.each(['', '{', 'no json', '{"a":1}x', '\0'])('%j is no JSON and comes as it is', (text) => {
    expect(pretty(text, 100)).toEqual({ text, whole: true, json: false, depth: 0 });
  });

  it.each([
    ['operator.0123~+/=', null],
    ['two words', 'a space'],
    ['a\nb', 'the end of a line'],
    ['“quoted”', 'the character “'],
    ['zero\u200bwidth', 'the character ⟨200B⟩'],
    ['\u{1f511}', 'the character \u{1f511}'],
  ])('a credential %j has %s in it that none has', (token, strange) => {
    expect(strangeIn(token)).toBe(strange);
  });

  it('has a size in bytes', () => {
    expect(bytesOf('aä😀')).toBe(7);
    expect([0, 999, 1000, 61_440, 999_949, 999_950, 1_048_576].map(sizeOf)).toEqual([
      ...['0 B', '999 B', '1.0 KB', '61.4 KB', '999.9 KB', '1.0 MB', '1.0 MB'],
    ]);
  });
});

import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { asciiJson, cell, csv, curl, escapeHtml, ndjson, quoted } from './exports';
import type { Row } from './rows';

const HOSTILE = [
  "it's",
  '$(touch x) `id` !! "',
  "'\\''",
  '\n\r\t\0\x1b[2J',
  '\u202e\u2028\ufeff',
  '😀\ud800',
  '-x',
  '',
];

describe('a line of NDJSON', () => {
  const row: Row = {
    ...{ n: 1, at: 5, kind: 'event', channel: 'a.b', event: 'e', id: '1-a', time: 0, traceparent: null },
    data: '',
  };
  it.each(HOSTILE)('of %j is one line, and the same event again', (data) => {
    const text = ndjson([{ ...row, data }]);
    expect(text.split('\n')).toHaveLength(2);
    expect(text.endsWith('\n')).toBe(true);
    const time = '1970-01-01T00:00:00.000Z';
    expect(JSON.parse(text)).toEqual({ id: '1-a', channel: 'a.b', event: 'e', data, time });
  });

  it('is for events alone', () => {
    expect(
      ndjson([
        { ...row, kind: 'gap' },
        { ...row, traceparent: 't', time: null },
      ]),
    ).toBe('{"id":"1-a","channel":"a.b","event":"e","data":"","traceparent":"t"}\n');
  });
});

describe('a command of curl', () => {
  const printed = (text: string) => execFileSync('/bin/sh', ['-c', `printf %s ${text}`]).toString();

  it.each(HOSTILE.filter((text) => !/[\0\ud800]/.test(text)))('quotes %j so that a shell takes it as it is', (text) => {
    expect(printed(quoted(text))).toBe(text);
  });

  it.each(HOSTILE)('sends %j as it was', (data) => {
    const command = curl("http://h/'x", { channel: 'c', event: "e'", data, traceparent: null }, false);
    // biome-ignore lint: only what a terminal shows
    expect(command).toMatch(/^[\x20-\x7e\n]*$/);
    const script = `curl() { for last; do :; done; printf %s "$last"; }\n${command}`;
    const body = execFileSync('/bin/sh', ['-c', script]).toString();
    expect(JSON.parse(body)).toEqual({ channel: 'c', event: "e'", data });
  });

  it('holds no token, and takes a long event by its input', () => {
    const event = { channel: 'c', event: 'message', data: 'x'.repeat(200_000), traceparent: '00-1-2-01' };
    const command = curl('http://h', event, true);
    expect(command).toContain('-H "Authorization: Bearer $TOKEN"');
    expect(command).toContain("-H 'traceparent: 00-1-2-01'");
    const body = execFileSync('/bin/sh', { input: `curl() { cat; }\n${command}`, maxBuffer: 1e7 }).toString();
    expect(JSON.parse(body)).toEqual({ channel: 'c', data: event.data });
  });
});

it('JSON in ASCII is the same JSON', () => {
  const value = { text: 'ä\u202e😀\x7f', n: [1] };
  expect(JSON.parse(asciiJson(value))).toEqual(value);
});

it('a cell of CSV is quoted where it must be, and is no formula', () => {
  const cells = ['a', 'a,b', 'a"b', 'a\nb', '=1+1', '-2', '@x', ''].map(cell);
  expect(cells).toEqual(['a', '"a,b"', '"a""b"', '"a\nb"', "'=1+1", "'-2", "'@x", '']);
  expect(
    csv([
      ['a', 1.5, null],
      ['b', -2, 'x'],
    ]),
  ).toBe('a,1.5,\r\nb,-2,x\r\n');
});

it('HTML of strangers is text', () => {
  expect(escapeHtml(`<img src=x onerror="a('b')">&`)).toBe('&lt;img src=x onerror=&quot;a(&#39;b&#39;)&quot;&gt;&amp;');
});

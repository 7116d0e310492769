import { describe, expect, it } from 'vitest';
import { type Block, SseParser } from './parser.js';

function read(...chunks: string[]): { blocks: Block[]; retries: number[] } {
  const blocks: Block[] = [];
  const retries: number[] = [];
  const parser = new SseParser({ block: (block) => blocks.push(block), retry: (ms) => retries.push(ms) });
  for (const chunk of chunks) parser.push(chunk);
  return { blocks, retries };
}

const one = (event: string, data: string | null, id: string | null): Block[] => [{ event, data, id }];

describe('the reader follows the WHATWG rules', () => {
  it.each<[property: string, stream: string, blocks: Block[]]>([
    ['a named event with an id', 'event: created\ndata: {"n":1}\nid: 7-ab\n\n', one('created', '{"n":1}', '7-ab')],
    ['no name means message', 'data: x\n\n', one('message', 'x', null)],
    ['several data lines are joined by LF', 'data: a\ndata:\ndata: b\n\n', one('message', 'a\n\nb', null)],
    ['only one leading space is dropped', 'data:  x\n\n', one('message', ' x', null)],
    ['a line without a colon is a field without a value', 'data\n\n', one('message', '', null)],
    ['a heartbeat carries only the cursor', 'id: 9-cd\n\n', one('message', null, '9-cd')],
    ['an empty id resets', 'id\ndata: x\n\n', one('message', 'x', '')],
    ['an id with NUL is ignored', 'id: a\0b\ndata: x\n\n', one('message', 'x', null)],
    ['comments are nothing', ': hello\n\n', []],
    ['unknown fields are ignored', 'color: red\ndata: x\n\n', one('message', 'x', null)],
    ['an unfinished block is never delivered', 'data: x\n', []],
    ['a lone CR ends a line', 'data: x\r\r', one('message', 'x', null)],
    ['CRLF ends one line, not two', 'data: x\r\ndata: y\r\n\r\n', one('message', 'x\ny', null)],
  ])('%s', (_property, stream, blocks) => {
    expect(read(stream).blocks).toEqual(blocks);
  });

  it('a retry counts only when it is all digits', () => {
    expect(read('retry: 1500\nretry: 1e3\nretry: -1\nretry:\n\n').retries).toEqual([1500]);
  });

  it('gives the same wherever the stream is cut', () => {
    const stream = ': hi\r\nretry: 20\r\nid: 1-aa\r\n\r\nevent: e\ndata: ä\rdata: b\r\nid: 2-bb\n\n\ndata: z\n\n';
    const whole = read(stream);
    expect(whole.blocks).toHaveLength(3);
    for (let cut = 1; cut < stream.length; cut += 1) {
      expect(read(stream.slice(0, cut), stream.slice(cut))).toEqual(whole);
    }
    expect(read(...stream)).toEqual(whole);
  });
});

import { PNG } from 'pngjs';
import { describe, expect, it } from 'vitest';
import { small } from './palette';

describe('a picture of few colours', () => {
  it('keeps each colour near to what it was, also one of a single pixel among thousands of others', () => {
    const [width, height] = [256, 128];
    const pixels = new Uint8Array(width * height * 4);
    for (let index = 0; index < width * height; index += 1)
      pixels.set([index % 256, Math.floor(index / 256) * 2, (index * 7) % 64, 255], index * 4);
    pixels.set([255, 0, 255, 255], 5 * 4);
    const read = PNG.sync.read(small(pixels, width, height));
    expect([read.width, read.height]).toEqual([width, height]);
    expect([...read.data.subarray(20, 24)]).toEqual([255, 0, 255, 255]);
    const furthest = pixels.reduce(
      (most, value, index) => Math.max(most, Math.abs(value - (read.data[index] ?? 0))),
      0,
    );
    expect(furthest).toBeLessThan(60);
  });

  it('has the very colours where there are few', () => {
    const pixels = new Uint8Array([10, 20, 30, 255, 200, 100, 0, 255, 10, 20, 30, 255, 255, 255, 255, 255]);
    expect([...PNG.sync.read(small(pixels, 2, 2)).data]).toEqual([...pixels]);
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';

/** The built page, as the container serves it. `npm run test:browser` builds it first. */
const DIST = join(import.meta.dirname, '..', 'dist');
const MOST = 120 * 1024;
const files = readdirSync(DIST, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
const read = (name: string) => readFileSync(join(DIST, name), 'utf8');

describe('the built page', () => {
  it('has at most 120 KB, gzipped, in all', () => {
    const sizes = files.map((one) => gzipSync(readFileSync(join(one.parentPath, one.name)), { level: 6 }).length);
    const all = sizes.reduce((sum, size) => sum + size, 0);
    console.log(`the page has ${(all / 1024).toFixed(1)} KB, gzipped`);
    expect(all).toBeLessThan(MOST);
  });

  it('holds neither script nor style within the page, which its policy forbids', () => {
    const html = read('index.html');
    expect(html).not.toMatch(/<style|\sstyle=|\son[a-z]+=/);
    expect(html.match(/<script[^>]*>/g)?.every((tag) => tag.includes(' src='))).toBe(true);
  });

  it('names no other server', () => {
    for (const { parentPath, name } of files.filter((one) => /\.(html|js|css)$/.test(one.name))) {
      const named = readFileSync(join(parentPath, name), 'utf8').match(/https?:\/\/[a-z0-9.-]+/g) ?? [];
      // A name of the SVG namespace is asked by nobody.
      expect(named.filter((one) => one !== 'http://www.w3.org')).toEqual([]);
    }
  });
});

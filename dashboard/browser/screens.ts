import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import pixelmatch from 'pixelmatch';
import type { BrowserContext, Page } from 'playwright-core';
import { PNG } from 'pngjs';
import { expect } from 'vitest';
import { small } from './palette';

/**
 * What a view looks like, in both themes, compared with pictures in goldens/; and what axe-core says of it.
 * `npm run goldens` makes the pictures anew. Where a picture differs, browser/shots/ has the new one and the difference.
 */
const GOLDENS = join(import.meta.dirname, 'goldens');
const SHOTS = join(import.meta.dirname, 'shots');
export const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844 };
/** The share of pixels that may differ: other versions of a font or of the browser move edges, and nothing more. */
const TOLERANCE = 0.03;
const THEMES = ['light', 'dark'] as const;

export interface Look {
  /** Selectors of what moves or differs between machines; it is painted over. */
  masks?: string[];
  size?: { width: number; height: number };
  /** Rules of axe-core that do not count here, each with its reason in a comment where it is given. */
  without?: string[];
}

/** Expects that the page as it is now looks as its pictures NAME-light and NAME-dark, and that axe finds nothing. */
export async function look(
  page: Page,
  name: string,
  { masks = [], size = DESKTOP, without = [] }: Look = {},
): Promise<void> {
  const problems: string[] = [];
  await page.setViewportSize(size);
  for (const colorScheme of THEMES) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    // Charts draw the new colours in the next frame.
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    problems.push(...(await complaints(page, without)).map((one) => `${colorScheme}: ${one}`));
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (overflow > 0) problems.push(`${colorScheme}: the page is ${overflow} pixels too wide`);
    const mask = masks.map((selector) => page.locator(selector));
    const shot = await page.screenshot({ mask, maskColor: '#808080', animations: 'disabled', caret: 'hide' });
    const differs = compare(shot, `${name}-${colorScheme}`);
    if (differs !== '') problems.push(differs);
  }
  expect(problems, `how ${name} looks`).toEqual([]);
}

/** What axe-core finds in the page: which rule, where, and why. */
export async function complaints(page: Page, without: string[] = []): Promise<string[]> {
  // Not by a script element, which the policy of the page forbids.
  await page.evaluate(`if (!window.axe) { ${AXE} }`);
  return page.evaluate(async (off) => {
    const axe = (window as unknown as { axe: Axe }).axe;
    const rules = Object.fromEntries([
      ['target-size', { enabled: true }],
      ...off.map((rule) => [rule, { enabled: false }]),
    ]);
    const { violations } = await axe.run(document, { rules, resultTypes: ['violations'] });
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id} at ${target.join(' ')}: ${failureSummary ?? ''}`),
    );
  }, without);
}

interface Axe {
  run(
    where: Document,
    options: unknown,
  ): Promise<{
    violations: { id: string; nodes: { target: string[]; failureSummary?: string }[] }[];
  }>;
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** '' where the picture is as before; else what differs. */
function compare(shot: Buffer, name: string): string {
  const path = join(GOLDENS, `${name}.png`);
  if (process.env['GOLDENS'] === 'write') {
    const { data, width, height } = PNG.sync.read(shot);
    write(path, small(data, width, height)); // the documentation shows them, and every clone has them for ever
    return '';
  }
  if (!existsSync(path)) return `there is no picture goldens/${name}.png: npm run goldens makes it`;
  const [now, before] = [PNG.sync.read(shot), PNG.sync.read(readFileSync(path))];
  if (now.width !== before.width || now.height !== before.height)
    return `goldens/${name}.png is ${before.width}x${before.height}, and the page ${now.width}x${now.height}`;
  const difference = new PNG({ width: now.width, height: now.height });
  const pixels = pixelmatch(now.data, before.data, difference.data, now.width, now.height, { threshold: 0.25 });
  const share = pixels / (now.width * now.height);
  if (share <= TOLERANCE) return '';
  write(join(SHOTS, `${name}.png`), shot);
  write(join(SHOTS, `${name}-difference.png`), PNG.sync.write(difference));
  return `${(share * 100).toFixed(1)} % of goldens/${name}.png differ: see browser/shots/${name}-difference.png`;
}

function write(path: string, content: Buffer): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** A page that collects what goes wrong in it: errors of scripts, and what the console says as an error. */
export async function watched(context: BrowserContext): Promise<{ page: Page; complaints: string[] }> {
  const page = await context.newPage();
  const found: string[] = [];
  page.on('pageerror', (error) => found.push(String(error)));
  page.on('console', (message) => {
    // The browser itself logs every answer that is no success, and the page shows those.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) found.push(message.text());
  });
  return { page, complaints: found };
}

/** Opens an address; once more where the browser lost it because a network of this machine came or went. */
export async function visit(page: Page, url: string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await page.goto(url);
      return;
    } catch (error) {
      if (attempt === 3 || !String(error).includes('ERR_NETWORK_CHANGED')) throw error;
    }
  }
}

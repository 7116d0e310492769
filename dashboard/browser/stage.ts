import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { openBrowser, type Site, servePage } from './platform';
import { watched } from './screens';
import { World } from './world';

/** What the tests of one file work with; imports see what is there now. */
export let browser: Awaited<ReturnType<typeof openBrowser>>;
export let page: Page;
/** What went wrong in the page; a test that expects something of that takes it out. */
export let complaints: string[] = [];
export let world: World;
export let site: Site;

/**
 * Has a browser for all tests of a file, and for each of them a page, in which nothing may go wrong.
 * `mend` puts right what a test has changed, once its page is closed.
 */
export function stage(mend: () => void = () => {}): void {
  beforeAll(async () => {
    browser = await openBrowser();
  });

  afterAll(async () => {
    delete process.env['PAGE_TIME'];
    await browser?.close();
  });

  beforeEach(async () => {
    ({ page, complaints } = await watched(browser.context));
  });

  afterEach(async () => {
    await page.close();
    mend();
    expect(complaints).toEqual([]);
  });
}

/** The same, and the page of a platform that a test decides about, which is well again after each test. */
export function playedStage(): void {
  beforeAll(async () => {
    world = await World.make();
    site = await servePage();
  });

  afterAll(async () => {
    await site?.close();
    world?.close();
  });

  stage(() => world.heal());
}

/**
 * From here on, time stands still for the browser and for the platform: each figure is the same each time. Playwright
 * knows no way back: it stays so for the tests of this file that follow.
 */
export async function standStill(now: number): Promise<void> {
  process.env['PAGE_TIME'] = String(now);
  await page.clock.setFixedTime(now);
}

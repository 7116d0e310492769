import { beforeEach, describe, expect, it } from 'vitest';
import { look, PHONE, visit } from '../screens';
import { page, playedStage, site, standStill, world } from '../stage';
import { releasesAt } from '../stories';

/** Releases and runs: what changed, what came of it, and the way back. */
const WAIT = { timeout: 60_000 };

playedStage();
beforeEach(() => {
  world.write('releases', releasesAt(world.now));
});

async function open(path = ''): Promise<void> {
  await standStill(world.now);
  await visit(page, `${site.url}/#/releases${path}`);
  await expect.poll(() => page.locator('.story li').count(), WAIT).toBeGreaterThan(0);
}

const titles = () => page.locator('.entry b').allTextContents();
const entry = (title: string) => page.locator('.story > li', { has: page.locator(`.entry b:text-is("${title}")`) });

describe('the story of the stack', () => {
  it('tells releases and other runs, the newest first, and what failed and why', async () => {
    await open();
    expect(await titles()).toEqual(['Release 4', 'reload nginx', 'Release 3', 'Release 2', 'Release 1']);
    expect(await entry('Release 4').locator('.outcome').textContent()).toBe('runs now');
    expect(await entry('Release 3').textContent()).toContain('did not become healthy within 60 s');
    expect(await entry('Release 4').textContent()).toMatch(/s ago by ada · aa1b1e0 · took 8\.4 s/);
    expect(await page.locator('.releases .note').last().textContent()).toContain('wrote this 60 s ago');
  });

  it('opens by the keyboard: what changed, the verification, and the command to go back', async () => {
    await open();
    await entry('Release 2').locator('.entry').focus();
    await page.keyboard.press('Enter');
    const text = () => entry('Release 2').locator('.opened').textContent();
    await expect.poll(text, WAIT).toContain('./sse rollback 2');
    for (const part of [
      'sse-app-1replacedenvironment.SSE_HEARTBEAT_SECONDS',
      '1 finding, of 13 health checks',
      'does not reach prometheus:9090',
      './sse diff 4 2',
    ])
      expect(await text()).toContain(part);
    await page.keyboard.press('Escape');
    await expect.poll(() => page.locator('.opened:visible').count(), WAIT).toBe(0);
    await entry('Release 3').locator('.entry').click();
    expect(await entry('Release 3').locator('.opened').textContent()).toContain('Release 4 runs.');
    expect(await entry('Release 3').locator('.command').count()).toBe(0);
  });

  it('is filtered, and the choice is in the address', async () => {
    await open();
    await page.getByRole('button', { name: 'Failed', exact: true }).click();
    await expect.poll(titles, WAIT).toEqual(['Release 3', 'Release 2']);
    expect(new URL(page.url()).hash).toBe('#/releases?only=failed');
    await page.getByRole('button', { name: 'Other runs', exact: true }).click();
    await expect.poll(titles, WAIT).toEqual(['reload nginx']);
    await page.getByRole('button', { name: 'All', exact: true }).click();
    await page.keyboard.press('/');
    await page.keyboard.type('memory');
    await expect.poll(titles, WAIT).toEqual(['Release 4']);
    await page.keyboard.type(' of nobody');
    await expect.poll(() => page.locator('.releases .hole').textContent(), WAIT).toBe('Nothing fits this choice.');
  });

  it('writes whatever a run says as text', async () => {
    const html = '<img src=x onerror=document.title=1><b>bold</b>';
    const file = releasesAt(world.now);
    world.write('releases', {
      ...file,
      releases: file.releases.map((one) => ({ ...one, why: html, who: html, changed: html })),
      runs: [],
    });
    await open('?release=4');
    await expect.poll(() => entry('Release 4').textContent(), WAIT).toContain(html);
    expect(await page.locator('.story img').count()).toBe(0);
    expect(await page.locator('.why b, .changed b').count()).toBe(0);
  });

  it('says so where no run has written anything', async () => {
    world.remove('releases');
    await visit(page, `${site.url}/#/releases`);
    await expect
      .poll(() => page.locator('.releases .hole').textContent(), WAIT)
      .toBe('No run has written releases.json yet. The next ./sse up or ./sse verify writes it.');
  });
});

describe('how it looks', () => {
  it.each([
    ['releases-well', '', {}],
    ['releases-open', '?release=2', {}],
    ['releases-phone', '?release=2', { size: PHONE }],
  ])('%s', async (name, path, size) => {
    if ('size' in size) await page.setViewportSize(PHONE);
    await open(path);
    await look(page, name, size);
  });
});

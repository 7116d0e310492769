import { beforeEach, describe, expect, it } from 'vitest';
import { look, PHONE, visit } from '../screens';
import { page, playedStage, site, standStill, world } from '../stage';
import { matrixAt, releasesAt, topologyAt } from '../stories';

/** The topology of a platform that a test decides about: what is drawn is known, and where from. */
const WAIT = { timeout: 60_000 };

playedStage();
beforeEach(() => {
  tell(world.now);
});

function tell(now: number): void {
  world.write('releases', releasesAt(now));
  world.write('topology', topologyAt(now));
  world.write('matrix', matrixAt(now));
}

/** Where the time of the page stands still, each figure is the same each time. */
async function open(path = '', still = true): Promise<void> {
  if (still) await standStill(world.now);
  else tell(Date.now());
  await visit(page, `${site.url}/#/topology${path}`);
  const drawn = path.includes('matrix') ? page.locator('[role=gridcell]') : page.locator('.box');
  await expect.poll(() => drawn.count(), WAIT).toBeGreaterThan(11);
}

const box = (id: string) => page.locator(`[data-box="${id}"]`);
const how = (id: string) => box(id).locator('.how').textContent();
const note = () => page.locator('.feet').textContent();
const panel = () => page.locator('.panel').textContent();

/** The ids of the edges that come into a box in the browser's own measure, where they have no business. */
const trespassers = () =>
  page.evaluate(() => {
    const root = document.querySelector('.map')!.getBoundingClientRect();
    const boxes = [...document.querySelectorAll('.box')].map((one) => one.getBoundingClientRect());
    return [...document.querySelectorAll<SVGPathElement>('.map .line')].flatMap((line, index) => {
      const length = line.getTotalLength();
      for (let at = 3; at < length - 3; at += 3) {
        const { x, y } = line.getPointAtLength(at);
        const [left, top] = [x + root.left, y + root.top];
        if (
          boxes.some((one) => left > one.left + 1 && left < one.right - 1 && top > one.top + 1 && top < one.bottom - 1)
        )
          return [index];
      }
      return [];
    });
  });

describe('the picture', () => {
  it('draws no connection of a replica that does not answer as measured, and no event that passes there', async () => {
    world.stopped.add('app-2');
    await open();
    await expect.poll(() => how('sse-app-2'), WAIT).toBe('✗ down');
    const edges = page.locator('.edge');
    const states = () => edges.evaluateAll((all) => all.map((one) => (one as SVGElement).dataset['state']));
    await expect.poll(async () => (await states()).filter((one) => one === 'unknown').length, WAIT).toBeGreaterThan(3);
    expect(await states()).toContain('reached');
  });

  it('has each tier, each container and its state, and no edge runs through a box', async () => {
    await open();
    expect(await page.locator('.tier').allTextContents()).toEqual(['World', 'Entry', 'Replicas', 'Data', 'Watchers']);
    await expect.poll(() => how('sse-app-1'), WAIT).toBe('● ready');
    await expect.poll(() => how('sse-redis-master'), WAIT).toBe('● answers');
    expect(await how('sse-grafana')).toBe('◐ reached');
    expect(await note()).toContain('The connections were measured 60 s ago.');
    expect(await page.locator('.edge[data-way="true"] .ms').allTextContents()).toContain('0.8 ms');
    expect(await trespassers()).toEqual([]);
    await page.setViewportSize(PHONE);
    await expect.poll(() => page.locator('.map').evaluate((one) => one.clientWidth), WAIT).toBeLessThan(390);
    expect(await trespassers()).toEqual([]);
  });

  it('shows what is wrong with a replica and with an edge within seconds', async () => {
    await open('', false);
    await expect.poll(() => how('sse-app-2'), WAIT).toBe('● ready');
    world.stopped.add('app-2');
    await expect.poll(() => how('sse-app-2'), { timeout: 10_000 }).toBe('✗ down');
    const matrix = matrixAt(Date.now());
    const edges = matrix.edges.map((one) =>
      one.source === 'sse-app-1' && one.port === 9092
        ? { ...one, verdict: 'broken' as const, ms: null, got: 'Connection refused' }
        : one,
    );
    world.write('matrix', { ...matrix, edges });
    await expect.poll(() => page.locator('.edge[data-state="broken"]').count(), WAIT).toBe(1);
    await box('sse-app-1').click();
    await expect.poll(panel, WAIT).toContain('closed: Connection refused');
  });

  it('draws nobody as reached whom this page does not reach, however fresh the matrix is', async () => {
    world.nginx = 'gone';
    world.prometheus = 'gone';
    await open();
    await expect.poll(() => how('sse-nginx'), WAIT).toBe('✗ down');
    await expect.poll(() => how('sse-prometheus'), WAIT).toBe('✗ down');
  });

  it('draws nothing as known that nobody knows', async () => {
    world.prometheus = 'gone';
    const old = matrixAt(world.now - 25 * 3_600_000);
    world.write('matrix', old);
    await open();
    await expect.poll(note, WAIT).toContain('before the release that runs now. They may have changed since');
    expect(await page.locator('.edge[data-state="reached"]').count()).toBe(0);
    expect(await page.locator('.ms:visible').count()).toBe(0);
    expect(await how('sse-grafana')).toBe('? not known');
    await expect.poll(note, WAIT).toContain('How many events pass is not known.');
  });

  it('says so where what a run wrote is something else', async () => {
    world.write('topology', '<h1>It works!</h1>');
    await visit(page, `${site.url}/#/topology`);
    await expect
      .poll(() => page.locator('.topology .hole').first().textContent(), WAIT)
      .toBe('topology.json holds no object. The next ./sse up or ./sse verify writes it anew.');
  });

  it('writes names as text', async () => {
    const html = '<img src=x onerror=document.title=1>';
    const topology = topologyAt(world.now);
    const containers = topology.containers.map((one) =>
      one.short === 'grafana' ? { ...one, short: html, image: html } : one,
    );
    world.write('topology', { ...topology, containers });
    await open('?box=sse-grafana');
    await expect.poll(panel, WAIT).toContain(html);
    expect(await page.locator('.topology img').count()).toBe(0);
  });

  it('moves dots at the rate of events, and none where less motion is asked for', async () => {
    await page.emulateMedia({ reducedMotion: 'no-preference' });
    await open('', false);
    await expect.poll(note, WAIT).toMatch(/A dot is \d+ events?: published ones go down/);
    await expect.poll(() => page.locator('.dots .published').count(), WAIT).toBeGreaterThan(0);
    await expect.poll(() => page.locator('.dots .delivered').count(), WAIT).toBeGreaterThan(0);
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await expect.poll(() => page.locator('.dots circle').count(), WAIT).toBe(0);
    await page.emulateMedia({ reducedMotion: null });
  });
});

describe('the details', () => {
  it('open by Enter with ports, reasons, health and the command for logs, and Escape closes them', async () => {
    await open();
    await box('sse-app-2').focus();
    await page.keyboard.press('Enter');
    await expect.poll(panel, WAIT).toContain('publish and consume events');
    const text = (await panel()) ?? '';
    for (const part of ['Asked directly, it answers.', 'Listens on8000', 'GET :8000/health/ready', './sse logs app-2'])
      expect(text).toContain(part);
    expect(text).toMatch(/healthy when a run looked at \d\d:\d\d:\d\d UTC\. Its last health checks/);
    expect(text).toMatch(/UTCnothing to saypassed\d.*UTCno answer from 127\.0\.0\.1:8000: timed outfailed \(1\)/);
    expect(text).toMatch(/kafka:9092publish and consume eventsopen, 0\.\d ms/);
    expect(new URL(page.url()).hash).toBe('#/topology?box=sse-app-2');
    expect(await page.locator('.edge[data-near="true"]').count()).toBeGreaterThan(3);
    await page.keyboard.press('Escape');
    await expect.poll(panel, WAIT).toContain('12 containers');
    expect(await box('sse-app-2').evaluate((one) => one === document.activeElement)).toBe(true);
  });

  it('that the engine has not asked yet are not said to have no health checks', async () => {
    const early = (one: { short: string }) =>
      one.short === 'app-2' ? { ...one, checked: { state: 'starting', log: [] } } : one;
    const shown = topologyAt(world.now);
    world.write('topology', { ...shown, containers: shown.containers.map(early) });
    await open('?box=sse-app-2');
    await expect.poll(panel, WAIT).toMatch(/The engine had not asked it yet when a run looked at \d\d:\d\d:\d\d UTC\./);
    expect(await panel()).not.toContain('keeps no health checks');
  });

  it('are found by a search', async () => {
    await open();
    await page.keyboard.press('/');
    await page.keyboard.type('9092');
    await expect
      .poll(() => page.locator('.box[data-found="true"]').allTextContents(), WAIT)
      .toEqual(['kafka● answers']);
  });
});

describe('the matrix', () => {
  it('says of each cell what it stands for, by arrows, too', async () => {
    await open();
    await page.getByRole('button', { name: 'Matrix' }).click();
    await expect.poll(() => page.locator('[role=gridcell]').count(), WAIT).toBe(12 * 17);
    const line = () => page.locator('.cell-line').textContent();
    await page.locator('[role=gridcell]').first().focus();
    for (const key of ['ArrowDown', 'ArrowRight']) await page.keyboard.press(key);
    await expect
      .poll(line, WAIT)
      .toBe('App-1 → nginx:443 is open, though nobody declares it: one network for all allows that.');
    await page.locator('[aria-label^="app-1 → kafka:9092"]').hover();
    await expect
      .poll(line, WAIT)
      .toMatch(/is open, as declared, in 0\.\d ms\. It is there to publish and consume events\.$/);
    expect(new URL(page.url()).hash).toBe('#/topology?as=matrix');
  });
});

describe('how it looks', () => {
  const MASKS = { masks: ['.note', '.checks b'] };

  it.each([
    ['topology-well', '', {}],
    ['topology-box', '?box=sse-app-2', {}],
    ['topology-matrix', '?as=matrix', {}],
    ['topology-phone', '', { size: PHONE }],
  ])('%s', async (name, path, size) => {
    if ('size' in size) await page.setViewportSize(PHONE);
    await open(path);
    if (!path.includes('matrix')) {
      await expect.poll(() => how('sse-app-1'), WAIT).toBe('● ready');
      await expect.poll(() => how('sse-nginx'), WAIT).toBe('● answers');
      await expect.poll(() => how('sse-node-exporter'), WAIT).toBe('● up');
    }
    await look(page, name, { ...MASKS, ...size });
  });

  it('topology-unknown', async () => {
    world.prometheus = 'gone';
    world.stopped.add('app-2');
    world.write('matrix', matrixAt(world.now - 25 * 3_600_000));
    await open();
    await expect.poll(() => how('sse-app-2'), WAIT).toBe('✗ down');
    await expect.poll(() => how('sse-grafana'), WAIT).toBe('? not known');
    await look(page, 'topology-unknown', MASKS);
  });
});

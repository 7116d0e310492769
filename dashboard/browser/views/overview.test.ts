import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Service } from '../platform';
import { DESKTOP, look, PHONE, visit } from '../screens';
import { complaints, page, playedStage, site, standStill, world } from '../stage';
import type { World } from '../world';

/** How the overview tells the truth about a platform that a test decides about. */
const WAIT = { timeout: 60_000 };

playedStage();

const headline = () => page.locator('#headline').textContent();

/** Where the time of the page stands still, each figure is the same each time. */
async function open(still = false, path = ''): Promise<void> {
  if (still) await standStill(world.now);
  await visit(page, site.url + path);
  if (path === '') await expect.poll(headline, WAIT).not.toBe('Looking…');
}

describe('the overview of a platform where all is well', () => {
  it('says so, what changed last, and who is connected', async () => {
    await open(true);
    await expect.poll(headline, WAIT).toBe('All is well.');
    await expect
      .poll(() => page.locator('#subline').textContent(), WAIT)
      .toMatch(/release 9 \(6f29dad\) by anna, .*1\d\d subscribers are connected at 3 replicas\./);
    await expect.poll(() => page.locator('#vitals').textContent(), WAIT).toBe('3/3 replicas0 alertsSLO 99.98 %');
  });

  it.each(['range=15d', 'from=1795170000&to=1795171000'])(
    'says how it is now where the charts show %s',
    async (asked) => {
      await open(true);
      const told = async () => [
        await page.locator('#subline').textContent(),
        ...(await page.locator('.tiles b').allTextContents()),
      ];
      await expect.poll(told, WAIT).not.toContain('–');
      const now = await told();
      await open(true, `/#/overview?${asked}`);
      await expect.poll(told, WAIT).toEqual(now);
    },
  );

  it('tells how often a budget of errors was used up, and draws nothing beside its tile', async () => {
    world.budget = -78.1234;
    await open();
    const tile = page.locator('.tiles > div').last();
    await expect.poll(() => tile.locator('dd').first().textContent(), WAIT).toBe('0 % used 79.1 times');
    const [area, box] = [await tile.locator('.spark-area').boundingBox(), await tile.locator('.spark').boundingBox()];
    expect((area?.y ?? 0) + (area?.height ?? 0)).toBeLessThanOrEqual((box?.y ?? 0) + (box?.height ?? 0) + 1);
  });

  it('shows what comes from outside as text', async () => {
    const html = '<img src="x" onerror="document.title=1"><b>bold</b>';
    const releases = world.releases() as { releases: { who: string }[] };
    world.write('releases', { ...releases, releases: [{ ...releases.releases[0], who: html }] });
    await open();
    await expect.poll(() => page.locator('#subline').textContent(), WAIT).toContain(html);
    expect(await page.locator('#subline').locator('b, img').count()).toBe(0);
  });
});

describe('how it looks', () => {
  const drawn = () => expect.poll(() => page.locator('.chart .u-over').count(), WAIT).toBe(3);

  it.each<[name: string, sentence: string, change: (world: World) => void]>([
    ['overview-well', 'All is well.', () => {}],
    ['overview-replica-stopped', 'app-2 does not answer: 2 of 3 replicas are ready.', (w) => w.stopped.add('app-2')],
    ['overview-kafka-stopped', 'Kafka answers no replica.', (w) => (w.kafka = 'KafkaConnectionError')],
  ])('%s', async (name, sentence, change) => {
    change(world);
    await open(true);
    await expect.poll(headline, WAIT).toBe(sentence);
    await drawn();
    await look(page, name);
  });

  it('without Prometheus: what is not known is not drawn', async () => {
    world.prometheus = 'gone';
    await open(true);
    await expect.poll(headline, WAIT).toContain('Prometheus does not answer');
    await expect.poll(() => page.locator('.hole:visible').count(), WAIT).toBe(3);
    await expect.poll(() => page.locator('.tiles b').allTextContents(), WAIT).toEqual(Array(5).fill('–'));
    await look(page, 'overview-prometheus-gone');
  });

  it('on a phone', async () => {
    await page.setViewportSize(PHONE);
    await open(true);
    await drawn();
    await look(page, 'overview-phone', { size: PHONE });
    // A figure stands between two titles: the one above it is its own.
    const cells = page.locator('#replicas-title').locator('xpath=ancestor::section').locator('td:nth-child(n + 3)');
    const order = await cells.evaluateAll((all) =>
      all.map((one) => [getComputedStyle(one).display, getComputedStyle(one, '::after').order].join()),
    );
    expect(new Set(order)).toEqual(new Set(['grid,-1']));
  });

  it('with the help open', async () => {
    await open(true);
    await drawn();
    await page.keyboard.press('?');
    await look(page, 'help');
    await page.keyboard.press('Escape');
    await expect.poll(() => page.locator('dialog').count(), WAIT).toBe(0);
  });
});

describe('the keyboard', () => {
  it('chooses views by 1 to 6, searches by /, and Escape closes', async () => {
    await open();
    for (const [index, name] of ['overview', 'topology', 'events', 'load', 'releases', 'alerts'].entries()) {
      await page.keyboard.press(String(index + 1));
      await expect.poll(() => page.url(), WAIT).toContain(`#/${name}`);
      const current = page.locator('nav [aria-current=page]');
      await expect.poll(() => current.textContent(), WAIT).toMatch(new RegExp(name, 'i'));
    }
    await page.keyboard.press('1');
    await page.keyboard.press('/');
    await page.keyboard.type('app-2');
    await expect.poll(() => page.locator('.overview tbody tr').count(), WAIT).toBe(1);
    await page.keyboard.press('Escape');
    await expect.poll(() => page.locator('.overview tbody tr').count(), WAIT).toBe(3);
    expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('BODY');
  });

  it('skips to the content of the view that is shown', async () => {
    await open(false, '/#/alerts');
    await expect.poll(() => page.locator('#alerts-headline').textContent(), WAIT).not.toBe('Looking…');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('main');
    expect(page.url()).toContain('#/alerts');
    expect(await page.locator('.view.alerts').isVisible()).toBe(true);
  });

  it.each([DESKTOP, PHONE])('has targets of 44 pixels in every view, %o', async (size) => {
    await page.setViewportSize(size);
    await open();
    for (const key of ['1', '2', '3', '4', '5', '6']) {
      await page.locator('body').press(key);
      const low = await page.evaluate(() =>
        [...document.querySelectorAll<HTMLElement>('button, nav a, .vitals a, input, select, textarea')]
          .filter((one) => one.checkVisibility() && !one.matches('[type=radio]')) // a radio has its label
          .map((one) => ({ what: one.id || one.textContent, height: one.getBoundingClientRect().height }))
          .filter(({ height }) => height < 43.5),
      );
      expect(low, `view ${key}`).toEqual([]);
    }
  });

  it('a view that cannot show what it got says so, and takes nothing along', async () => {
    world.write('releases', { ...world.releases(), releases: [{ number: 9, when: '2026-11-20T11:00:00Z' }] });
    await open(false, '/#/releases');
    await expect
      .poll(() => page.locator('.fault:visible').textContent(), WAIT)
      .toContain('The view Releases cannot show');
    await page.keyboard.press('1');
    await expect.poll(headline, WAIT).toBe('All is well.');
    expect(await page.locator('.fault:visible').count()).toBe(0);
    expect(complaints.splice(0).length).toBeGreaterThan(0);
  });

  it('a number that is typed into a field chooses no view', async () => {
    await open();
    await page.keyboard.press('/');
    await page.keyboard.type('3');
    expect(page.url()).not.toContain('#/events');
  });
});

describe('the time that charts show', () => {
  it('is in the address, can be dragged over, and Escape goes back', async () => {
    await open();
    await page.getByRole('button', { name: '1 h', exact: true }).click();
    await expect.poll(() => page.url(), WAIT).toContain('range=1h');
    await expect.poll(() => page.locator('.chart .u-over').count(), WAIT).toBe(3);
    // A chart that is drawn anew meanwhile takes no notice of a drag that began before.
    const drag = async () => {
      const box = await page.locator('.chart .u-over').first().boundingBox();
      if (box === null) throw new Error('no chart');
      await page.mouse.move(box.x + box.width * 0.3, box.y + 50);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 5 });
      await page.mouse.up();
      return page.url();
    };
    await expect.poll(drag, WAIT).toMatch(/range=1h&from=\d+&to=\d+/);
    await page.keyboard.press('Escape');
    await expect.poll(() => page.url(), WAIT).toMatch(/range=1h$/);
  });

  it('can be read and zoomed by keyboard', async () => {
    await open();
    await expect.poll(() => page.locator('.chart .u-over').count(), WAIT).toBe(3);
    await page.locator('.chart .canvas').first().focus();
    await page.keyboard.press('ArrowLeft');
    const readings = () => page.locator('.chart .readout').allTextContents();
    await expect.poll(async () => (await readings()).every((one) => /\d\d:\d\d:\d\d/.test(one)), WAIT).toBe(true);
    await page.keyboard.press('+');
    await expect.poll(() => page.url(), WAIT).toMatch(/from=\d+&to=\d+/);
    await page.keyboard.press('Escape');
    await expect.poll(() => page.url(), WAIT).not.toContain('from=');
  });

  it('one crosshair is over all charts', async () => {
    await open();
    await expect.poll(() => page.locator('.chart .u-over').count(), WAIT).toBe(3);
    await page.locator('.chart .u-over').first().hover();
    const readings = () => page.locator('.chart .readout').allTextContents();
    await expect.poll(async () => (await readings()).every((one) => /\d\d:\d\d:\d\d/.test(one)), WAIT).toBe(true);
  });
});

describe('a token', () => {
  it('is sent with each request, kept for the session, and forgotten when asked', async () => {
    const sent: (string | undefined)[] = [];
    page.on('request', (request) => {
      if (request.url().includes('/api/v1/stats')) sent.push(request.headers()['authorization']);
    });
    await open();
    await page.getByRole('button', { name: 'Token' }).click();
    await page.getByLabel('API key or token').fill('secret-token');
    await page.getByRole('button', { name: 'Use this token' }).click();
    await expect.poll(() => sent.at(-1), WAIT).toBe('Bearer secret-token');
    await page.reload();
    await expect.poll(() => page.getByRole('button', { name: 'Token ✓' }).count(), WAIT).toBe(1);
    await page.getByRole('button', { name: 'Token' }).click();
    await page.getByRole('button', { name: 'Forget it' }).click();
    await expect.poll(() => sent.at(-1), WAIT).toBeUndefined();
  });

  it('is marked as accepted only where the platform accepts it', async () => {
    world.token = 'expired';
    await open();
    const button = () => page.locator('#token').textContent();
    expect(await button()).toBe('Token');
    await page.getByRole('button', { name: 'Token' }).click();
    await page.getByLabel('API key or token').fill('old-token');
    await page.getByRole('button', { name: 'Use this token' }).click();
    await expect.poll(button, WAIT).toBe('Token ✗');
    world.heal();
    await expect.poll(button, WAIT).toBe('Token ✓');
  });

  it('that no browser can send is refused with the reason, and the page goes on', async () => {
    await open();
    await page.getByRole('button', { name: 'Token' }).click();
    await page.getByLabel('API key or token').fill('“operator.0123”');
    await page.getByRole('button', { name: 'Use this token' }).click();
    expect(await page.locator('#token-wrong').textContent()).toContain('No key or token has the character “ in it');
    await page.getByLabel('API key or token').fill('Bearer operator.0123');
    await page.getByRole('button', { name: 'Use this token' }).click();
    await expect.poll(() => page.getByRole('button', { name: 'Token ✓' }).count(), WAIT).toBe(1);
    expect(await page.evaluate(() => sessionStorage.getItem('token'))).toBe('operator.0123');
  });

  it('opens a service that asks for one: an event is published, and seen on the stream', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'keys-'));
    const file = join(directory, 'keys.json');
    const sha256 = createHash('sha256').update('0123456789abcdef'.repeat(3)).digest('hex');
    writeFileSync(file, JSON.stringify({ keys: [{ name: 'operator', sha256, publish: ['*'], subscribe: ['*'] }] }));
    const before = process.env['API_URL'] ?? '';
    const service = await Service.start({ SSE_AUTH: 'on', SSE_KEYS_FILES: file });
    process.env['API_URL'] = service.url;
    try {
      await open();
      await expect.poll(() => page.locator('.troubles').textContent(), WAIT).toContain('sends no token');
      await expect.poll(headline, WAIT).toBe('All is well.');
      await page.getByRole('button', { name: 'Token' }).click();
      await page.getByLabel('API key or token').fill(`operator.${'0123456789abcdef'.repeat(3)}`);
      await page.getByRole('button', { name: 'Use this token' }).click();
      await page.getByRole('button', { name: 'Publish a test event' }).click();
      await expect.poll(() => page.locator('#publish-status').textContent(), WAIT).toMatch(/^Seen on the stream after/);
      await expect.poll(() => page.locator('.troubles:visible').count(), WAIT).toBe(0);
    } finally {
      process.env['API_URL'] = before;
      await service.stop('SIGKILL');
      rmSync(directory, { recursive: true });
    }
  });
});

describe('the sentence tells the truth within seconds', () => {
  it.each<[fault: string, sentence: string, break_: (world: World) => void]>([
    ['a replica is stopped', 'app-2 does not answer: 2 of 3 replicas are ready.', (w) => w.stopped.add('app-2')],
    ['Kafka is stopped', 'Kafka answers no replica.', (w) => (w.kafka = 'KafkaConnectionError')],
    ['Redis is stopped', 'Redis answers no replica.', (w) => (w.redis = 'unavailable')],
    ['NGINX is gone', 'NGINX does not answer: nobody outside reaches the platform.', (w) => (w.nginx = 'gone')],
    ['NGINX hangs', 'NGINX does not answer: nobody outside reaches the platform.', (w) => (w.nginx = 'hangs')],
    [
      'Prometheus is gone',
      'Prometheus does not answer, so alerts and graphs are not known.',
      (w) => (w.prometheus = 'gone'),
    ],
    [
      'the token has expired',
      'The platform does not accept this page’s token: Unauthorized: the token has expired.',
      (w) => (w.token = 'expired'),
    ],
    ['the API answers with a page', 'The API answers with a page and not with JSON.', (w) => (w.nginx = 'html')],
  ])('%s: %s', async (_, sentence, breakIt) => {
    await page.addInitScript(() => sessionStorage.setItem('token', 'of-yesterday'));
    await open();
    await expect.poll(headline, WAIT).toBe('All is well.');
    breakIt(world);
    await expect.poll(headline, WAIT).toBe(sentence);
  });

  it('and it says when all is well again', async () => {
    world.stopped.add('app-3');
    await open();
    await expect.poll(headline, WAIT).toContain('app-3 does not answer');
    world.heal();
    await expect.poll(headline, WAIT).toBe('All is well.');
  });

  it('also where the clock of this computer is an hour wrong, which the page says', async () => {
    await standStill(world.now);
    await page.clock.setFixedTime(world.now + 3_600_000);
    await visit(page, site.url);
    await expect.poll(headline, WAIT).toBe('All is well.');
    await expect.poll(() => page.locator('#which').textContent(), WAIT).toContain('32 min ago');
    await expect.poll(() => page.locator('.tiles b').allTextContents(), WAIT).not.toContain('–');
    expect(await page.locator('.troubles').textContent()).toContain('differ by 60 min');
    await standStill(world.now);
  });

  it('the server of the page is gone: nothing is green any more', async () => {
    await open();
    await page.route('**/*', (route) => route.abort());
    await expect.poll(headline, WAIT).toContain('so nothing is known');
    expect(await page.locator('.parts [data-state=good]').count()).toBe(0);
  });
});

import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { publish } from '../platform';
import { complaints as axe, DESKTOP, PHONE, visit } from '../screens';
import { page, stage } from '../stage';

/**
 * The control room of a stack that runs: true views where all is well, and a true sentence where something is not.
 * Within how many seconds a sentence stands is a matter of the page's own timers: src/feeds/platform.test.ts.
 */
const WAIT = { timeout: 90_000 };
const given = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run tests/integration/test_control_room.py`);
  return value;
};
const [ROOM, API, STACK] = [given('CONTROL_ROOM'), given('API'), given('STACK')];
/** A key of a stack that asks for one, else ''. */
const TOKEN = process.env['TOKEN'] ?? '';
const docker = (...words: string[]) => execFileSync('docker', words, { encoding: 'utf8' });

stage();

const text = async (selector: string) => (await page.locator(selector).first().textContent()) ?? '';
const headline = () => text('#headline');

/** Opens the page with a token, as somebody who entered it before. */
async function open(path = '', token = TOKEN): Promise<void> {
  await page.addInitScript((kept) => sessionStorage.setItem('token', kept), token);
  await visit(page, `${ROOM}/${path}`);
}

describe('the control room of a stack that runs', () => {
  it('shows every view in both themes, at a desk and on a phone, whole and with nothing that axe finds', async () => {
    await open();
    // Other tests have broken this stack before, which a rule may still remember.
    await expect.poll(() => text('#vitals'), WAIT).toContain('3/3 replicas');
    await expect.poll(headline, WAIT).not.toBe('Looking…');
    for (const [key, sign] of [
      ['2', `${STACK}-network`],
      ['3', 'live from'],
      ['4', 'events a second'],
      ['5', 'runs now'],
      ['6', 'Who is called'],
      ['1', 'Events per second'],
    ] as const) {
      await page.locator('body').press(key);
      for (const [device, size] of Object.entries({ DESKTOP, PHONE })) {
        await page.setViewportSize(size);
        await expect.poll(() => text('main'), WAIT).toContain(sign);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        expect(wide, `view ${key} on a ${device}`).toBeLessThanOrEqual(0);
        for (const colorScheme of ['light', 'dark'] as const) {
          await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
          // The elements are the same with a token and without, and so are the colours on a phone.
          if (TOKEN === '' && (device === 'DESKTOP' || colorScheme === 'dark'))
            expect(await axe(page), `view ${key}, ${device}, ${colorScheme}`).toEqual([]);
        }
      }
    }
  });

  it('shows within a second an event that somebody publishes through NGINX, with its channel', async () => {
    await open('#/events');
    await expect.poll(() => text('#stream-state'), WAIT).toMatch(/^live from /);
    // The fastest of five: a machine that is busy with other things says nothing about the platform.
    const took: number[] = [];
    for (let count = 0; count < 5; count += 1) {
      const name = `event-${Math.random().toString(36).slice(2)}`;
      const seen = page.waitForFunction(
        (wanted) => document.querySelector('#log-lines')?.textContent?.includes(wanted) === true,
        name,
      );
      const begun = performance.now();
      await publish(API, { channel: 'orders.eu', event: name, data: { n: 1 } }, TOKEN);
      await seen;
      took.push(performance.now() - begun);
    }
    expect(Math.min(...took)).toBeLessThan(1000);
    expect(await text('#log-lines')).toContain('orders.eu');
  });
});

describe.skipIf(TOKEN === '')('the control room of a stack that asks for a token', () => {
  it('says that one which nobody made, or which was removed, is not accepted', async () => {
    await open('', 'of-yesterday');
    await expect.poll(() => text('main'), WAIT).toContain('The platform does not accept this page’s token');
  });
});

describe.skipIf(TOKEN !== '')('the control room of a stack that asks nobody for a token', () => {
  it('publishes by its form, which says beside a field what the service finds wrong', async () => {
    await open('#/events');
    await expect.poll(() => text('#stream-state'), WAIT).toMatch(/^live from /);
    await page.locator('#publish-channel').fill('or ders');
    await page.locator('#publish').click();
    await expect.poll(() => text('#publish-channel-wrong'), WAIT).toContain('should match pattern');
    await page.locator('#publish-channel').fill('orders.us');
    await page.locator('#publish').click();
    await expect.poll(() => text('#publish-status'), WAIT).toMatch(/Seen here/);
    const [file] = await Promise.all([page.waitForEvent('download'), page.locator('#export').click()]);
    expect(file.suggestedFilename()).toMatch(/^events-.*\.ndjson$/);
  });

  it('resumes a stream that it has cut, with nothing lost and nothing twice', async () => {
    await open('#/events');
    await page.locator('#resume').click();
    await expect.poll(() => text('#resume-verdict'), WAIT).toMatch(/: 0 lost, 0 twice\.$/);
  });

  it('has a load test refused above the rate that the service allows', async () => {
    await open('#/load');
    await expect.poll(() => text('#load-cap'), WAIT).toContain('429');
    await page.locator('#load-rate').fill('501');
    await page.locator('#load-start').click();
    await expect.poll(() => text('#load-rate-wrong'), WAIT).toContain('501 is over the limit of 500');
  });

  it('says so where something else than the API answers', async () => {
    await page.route('**/api/v1/**', (route) =>
      route.fulfill({ contentType: 'text/html', body: '<h1>It works!</h1>' }),
    );
    await open();
    await expect.poll(headline, WAIT).toContain('The API answers with a page and not with JSON');
  });

  it.each<[what: string, sentence: RegExp, breaking: string[], mending: string[]]>([
    ['a stopped replica', /app-2 does not answer/, ['stop', '-t', '1', `${STACK}-app-2`], ['start', `${STACK}-app-2`]],
    ['a hung Kafka', /Kafka/, ['pause', `${STACK}-kafka`], ['unpause', `${STACK}-kafka`]],
    ['a stopped NGINX', /NGINX/, ['stop', '-t', '1', `${STACK}-nginx`], ['start', `${STACK}-nginx`]],
    [
      'a stopped Prometheus',
      /Prometheus does not answer/,
      ['stop', '-t', '1', `${STACK}-prometheus`],
      ['start', `${STACK}-prometheus`],
    ],
  ])('has the sentence for %s, and says when all is well again', async (_, sentence, breaking, mending) => {
    await open();
    await expect.poll(() => text('#vitals'), WAIT).toContain('3/3 replicas');
    docker(...breaking);
    try {
      await expect.poll(headline, WAIT).toMatch(sentence);
    } finally {
      docker(...mending);
    }
    await expect.poll(headline, WAIT).not.toMatch(sentence);
  });
});

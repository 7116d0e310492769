import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { publish } from '../platform';
import { complaints as axe, visit } from '../screens';
import { page, stage } from '../stage';

/** The control room of a stack that runs: true views where all is well, and a true sentence where something is not. */
const WAIT = { timeout: 90_000 };
const given = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run tests/integration/test_control_room.py`);
  return value;
};
const [ROOM, API, STACK] = [given('CONTROL_ROOM'), given('API'), given('STACK')];
const docker = (...words: string[]) => execFileSync('docker', words, { encoding: 'utf8' });

stage();

const text = async (selector: string) => (await page.locator(selector).first().textContent()) ?? '';
const headline = () => text('#headline');

describe('the control room of a stack that runs', () => {
  it.each(['light', 'dark'] as const)('shows every view, %s, with nothing that axe finds', async (colorScheme) => {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await visit(page, ROOM);
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
      await expect.poll(() => text('main'), WAIT).toContain(sign);
      expect(await axe(page), `view ${key}`).toEqual([]);
    }
  });

  it('shows an event that somebody publishes through NGINX, with its channel', async () => {
    await visit(page, `${ROOM}/#/events`);
    await expect.poll(() => text('#stream-state'), WAIT).toMatch(/^live from /);
    const name = `event-${Math.random().toString(36).slice(2)}`;
    await publish(API, { channel: 'orders.eu', event: name, data: { n: 1 } });
    await expect.poll(() => text('#log-lines'), WAIT).toContain(name);
    expect(await text('#log-lines')).toContain('orders.eu');
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
    await visit(page, ROOM);
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

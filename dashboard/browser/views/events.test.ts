import { createHash } from 'node:crypto';
import { readFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { publish as publishTo, Service, type Site, servePage } from '../platform';
import { DESKTOP, look, PHONE, visit } from '../screens';
import { browser, page, stage, standStill } from '../stage';
import { World } from '../world';

/** The view Events before the real service: what is published is seen, as text, and nothing of it harms the page. */
// Shorter than a test may take, so that a step that never comes is named.
const WAIT = { timeout: 20_000 };
const schemas = mkdtempSync(join(tmpdir(), 'schemas-'));
let service: Service;
let site: Site;

beforeAll(async () => {
  const schema = { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } };
  writeFileSync(join(schemas, 'strict.json'), JSON.stringify({ strict: schema }));
  service = await Service.start({
    SSE_SCHEMAS_DIR: schemas,
    SSE_MAX_EVENT_BYTES: String(1_300_000),
    SSE_MAX_BODY_BYTES: String(3_000_000),
    SSE_RETRY_MILLISECONDS: '100',
  });
  process.env['API_URL'] = service.url;
  site = await servePage();
});

afterAll(async () => {
  await site?.close();
  await service?.stop('SIGKILL');
  rmSync(schemas, { recursive: true, force: true });
});

stage();
beforeAll(() => browser.context.grantPermissions(['clipboard-read', 'clipboard-write']));

const publish = (events: unknown) => publishTo(service.url, events);
const lines = () => page.locator('#log-lines .log-line:visible');
const texts = (cell: number) => page.locator(`#log-lines .log-line:visible > :nth-child(${cell})`).allTextContents();
const text = async (id: string) => (await page.locator(`#${id}`).textContent()) ?? '';
const unique = (name: string) => `${name}-${Math.random().toString(36).slice(2)}`;

async function open(parameters = ''): Promise<void> {
  await visit(page, `${site.url}/#/events${parameters}`);
  await expect.poll(() => text('stream-state'), WAIT).toMatch(/^live from sse-app-1/);
}

describe('the live log', () => {
  it('shows an event with its channel, within a second of its publish', async () => {
    await open();
    const seen = async (name: string) => {
      const took = page.evaluate(
        (name) =>
          new Promise<number>((resolve) => {
            const seen = () => document.querySelector('#log-lines')?.textContent?.includes(name) === true;
            const look = () => (seen() ? resolve(Date.now()) : requestAnimationFrame(look));
            look();
          }),
        name,
      );
      await page.evaluate(() => document.body.offsetHeight); // the page is looking
      const begun = Date.now();
      await publish({ channel: 'orders.eu', event: name, data: { n: 1 } });
      return (await took) - begun;
    };
    // The fastest of five: a machine that is busy with other things says nothing about the page.
    const took: number[] = [];
    for (let event = 0; event < 5; event += 1) took.push(await seen(unique('event')));
    expect(Math.min(...took)).toBeLessThan(1000);
    expect(await texts(3)).toEqual(Array(5).fill('orders.eu'));
    expect(await texts(5)).toEqual(Array(5).fill('7 B'));
  });

  it('filters by channel, name and text, keeps the filters in the address, and takes the search of the page', async () => {
    await open();
    await publish([
      { channel: 'orders.eu', event: 'created', data: 'one' },
      { channel: 'orders.us', event: 'created', data: 'two' },
      { channel: 'stock', event: 'price', data: 'three' },
    ]);
    await expect.poll(() => texts(4), WAIT).toEqual(['three', 'two', 'one']);
    await page.locator('#filter-channel').fill('orders.*');
    await expect.poll(() => texts(4), WAIT).toEqual(['two', 'one']);
    await page.locator('#filter-name').fill('-created');
    await expect.poll(() => text('log-empty'), WAIT).toBe('No event passes the filters.');
    await page.locator('#filter-name').fill('');
    await page.keyboard.press('Escape');
    await page.locator('body').press('/');
    await page.keyboard.type('ONE');
    await expect.poll(() => texts(4), WAIT).toEqual(['one']);
    expect(await page.evaluate(() => location.hash)).toBe('#/events?channel=orders.*&text=ONE');
  });

  it('stands still while it is paused or read, counts what comes, and goes on', async () => {
    await open();
    await publish(Array.from({ length: 60 }, (_, n) => ({ channel: 'pause', data: `before ${n}` })));
    await expect.poll(async () => (await texts(4))[0], WAIT).toBe('before 59');
    await page.getByRole('button', { name: 'Pause' }).click();
    await publish({ channel: 'pause', data: 'meanwhile' });
    await expect.poll(() => text('more'), WAIT).toBe('↑ 1 new line');
    expect((await texts(4))[0]).toBe('before 59');
    await page.getByRole('button', { name: 'Go on' }).click();
    await expect.poll(async () => (await texts(4))[0], WAIT).toBe('meanwhile');
    // The page hears of a scroll with the next frame, and before it a new line would still be shown.
    await page.locator('#log-lines').evaluate(
      (list) =>
        new Promise((heard) => {
          list.addEventListener('scroll', heard, { once: true });
          list.scrollTo(0, 500);
        }),
    );
    await publish({ channel: 'pause', data: 'while somebody reads' });
    await expect.poll(() => text('more'), WAIT).toBe('↑ 1 new line');
    await page.locator('#more').click();
    await expect.poll(async () => (await texts(4))[0], WAIT).toBe('while somebody reads');
  });

  it('keeps 20,000 rows, draws those in sight, and holds its frames at 1,000 events a second', async () => {
    await open();
    const frames = () =>
      page.evaluate(
        () =>
          new Promise<number>((resolve) => {
            let count = 0;
            const end = performance.now() + 2000;
            const frame = () => {
              count += 1;
              if (performance.now() < end) requestAnimationFrame(frame);
              else resolve(count);
            };
            requestAnimationFrame(frame);
          }),
      );
    const rest = await frames();
    const begun = Date.now();
    let [sent, going] = [0, true];
    const load = (async () => {
      while (going || sent < 21_000) {
        // 1,000 a second while frames are counted, and the rest of the 21,000 as fast as it goes.
        const due = going ? Math.min(500, Date.now() - begun - sent) : 500;
        if (due > 0)
          await publish(Array.from({ length: due }, (_, n) => ({ channel: 'flood', data: { n: sent + n } })));
        sent += Math.max(0, due);
        await new Promise((resolve) => setTimeout(resolve, going ? 20 : 0));
      }
    })();
    await expect.poll(() => sent, WAIT).toBeGreaterThan(500);
    const busy = await frames();
    going = false;
    await load;
    // A ratio of the same page on the same machine; a page that stutters has half of the frames and fewer.
    expect(busy / rest).toBeGreaterThan(0.6);
    await expect.poll(async () => (await texts(4))[0], WAIT).toBe(`{"n":${sent - 1}}`);
    expect(await text('log-count')).toContain('the newest 20,000 are kept');
    expect(await page.locator('#log-lines .log-line').count()).toBeLessThan(80);
    await page.locator('#log-lines').focus();
    await page.keyboard.press('End');
    await expect.poll(async () => (await texts(4)).at(-1), WAIT).toBe(`{"n":${sent - 20_000}}`);
  });

  it('exports what is shown as NDJSON', async () => {
    await open('?channel=export');
    const data = ['{"n":1}', 'two\nlines', '\u0000\u202e"\\'];
    const ids = await publish([...data, 'x'].map((one) => ({ channel: one === 'x' ? 'other' : 'export', data: one })));
    await expect.poll(() => lines().count(), WAIT).toBe(3);
    const [file] = await Promise.all([page.waitForEvent('download'), page.locator('#export').click()]);
    expect(file.suggestedFilename()).toMatch(/^events-.*\.ndjson$/);
    const found = readFileSync(await file.path(), 'utf8').split('\n');
    expect(found.pop()).toBe('');
    expect(found.map((line) => JSON.parse(line))).toMatchObject(
      data.map((one, n) => ({ id: ids[n], channel: 'export', event: 'message', data: one })),
    );
  });
});

describe('whatever an event holds', () => {
  const hostile: [name: string, data: unknown][] = [
    ['markup', '<img src="x" onerror="document.title=1"><b>bold</b><script>1</script>'],
    ['a megabyte', 'm'.repeat(1_000_000)],
    ['10,000 levels', `${'['.repeat(10_000)}${']'.repeat(10_000)}`],
    ['controls', Array.from({ length: 160 }, (_, code) => String.fromCharCode(code)).join('')],
    ['what looks binary', String.fromCharCode(...Array.from({ length: 2000 }, (_, n) => (n * 131) % 0xd7ff))],
    ['text that turns', '\u202egpj.exe\u2066\u200b\u{e0041}'],
    ['a line without an end', `{"a":"${'x'.repeat(50_000)}"}`],
  ];
  it.each(hostile)('%s is shown as text, and the page lives', async (_, data) => {
    await open();
    const name = unique('hostile');
    await publish({ channel: 'hostile', event: name, data });
    await expect.poll(() => texts(2), WAIT).toContain(name);
    await lines().first().click();
    await expect.poll(() => text('inspector-title'), WAIT).toBe(name);
    const shown = await text('inspector-data');
    expect(shown.length).toBeGreaterThan(0);
    expect(shown).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
    expect(await page.locator('#log-lines, .inspector').locator('img, script, b b, pre *').count()).toBe(0);
    await page.locator('#curl').click();
    await expect.poll(() => text('inspector-status'), WAIT).toBe('The command is copied.');
    await page.keyboard.press('Escape');
    await expect.poll(() => page.locator('.inspector').isVisible(), WAIT).toBe(false);
    await publish({ channel: 'hostile', event: `${name}-after`, data: 1 });
    await expect.poll(() => texts(2), WAIT).toContain(`${name}-after`);
  });
});

describe('the inspector', () => {
  it('shows all of an event, copies it as a command, and publishes it again', async () => {
    await open();
    const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const answer = await fetch(`${service.url}/api/v1/events`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', traceparent: trace },
      body: JSON.stringify({ channel: 'orders', event: 'created', data: { n: 1, list: [true] } }),
    });
    const [id] = ((await answer.json()) as { ids: string[] }).ids;
    await expect.poll(() => lines().count(), WAIT).toBe(1);
    await page.locator('#log-lines').focus();
    await page.keyboard.press('ArrowDown');
    await expect.poll(() => text('inspector-data'), WAIT).toBe('{\n  "n": 1,\n  "list": [\n    true\n  ]\n}');
    const facts = await page.locator('.inspector .event-facts').textContent();
    for (const one of ['orders', id, '21 B', trace]) expect(facts).toContain(one);
    await page.locator('#raw').click();
    expect(await text('inspector-data')).toBe('{"n":1,"list":[true]}');
    await page.locator('#curl').click();
    const command = await page.evaluate(() => navigator.clipboard.readText());
    expect(command).toContain(`curl -sS '${site.url}/api/v1/events'`);
    expect(command).toContain(`traceparent: ${trace}`);
    await page.locator('#change').click();
    expect(await page.locator('#publish-data').inputValue()).toBe('{"n":1,"list":[true]}');
    await page.locator('#again').click();
    await expect
      .poll(() => text('inspector-status'), WAIT)
      .toMatch(/^Stored as .*Seen here [0-9.,]+ ms after it was sent\.$/);
    await expect.poll(() => text('more'), WAIT).toBe('↑ 1 new line');
    await page.locator('#more').click();
    await expect.poll(() => texts(4), WAIT).toEqual(['{"n":1,"list":[true]}', '{"n":1,"list":[true]}']);
  });
});

describe('the form for a publish', () => {
  const fill = async (channel: string, event: string, data: string): Promise<void> => {
    await page.locator('#publish-channel').fill(channel);
    await page.locator('#publish-event').fill(event);
    await page.locator('#publish-data').fill(data);
    await page.locator('#publish').click();
  };

  it('says beside each field what is wrong, as the service or its schema says it', async () => {
    await open();
    await fill('', '', '{');
    await expect.poll(() => text('publish-channel-wrong'), WAIT).toContain('Give a channel');
    expect(await text('publish-data-wrong')).toContain('This is not JSON');
    await fill('or ders', 'gap', '1');
    await expect.poll(() => text('publish-channel-wrong'), WAIT).toContain('should match pattern');
    expect(await text('publish-event-wrong')).toContain('reserved');
    expect(await text('publish-data-wrong')).toBe('');
    await fill('strict', '', '{"n": "seven"}');
    await expect.poll(() => text('publish-data-wrong'), WAIT).toMatch(/^At \/n: .*integer/);
    expect(await page.locator('#publish-data').getAttribute('aria-invalid')).toBe('true');
    expect(await text('publish-channel-wrong')).toBe('');
    await fill('strict', '', '{"n": 7}');
    await expect.poll(() => text('publish-status'), WAIT).toMatch(/Seen here/);
    expect(await page.locator('[aria-invalid]').count()).toBe(0);
  });

  it('says that nobody answers, and what to do', async () => {
    await open();
    await page.route('**/api/v1/events', (route) => route.abort());
    await fill('c', '', '1');
    await expect.poll(() => text('publish-wrong'), WAIT).toContain('./sse status');
  });
});

describe('a replay', () => {
  it('begins at an id, at a time, or with the oldest event, and goes on live', async () => {
    const channel = unique('replay');
    const [first] = await publish([1, 2, 3].map((n) => ({ channel, data: `old ${n}` })));
    await open(`?stream=${channel}&from=id&id=${first}`);
    await expect
      .poll(() => texts(4), WAIT)
      .toEqual(['old 3', 'old 2', `The stream begins after ${first}, and goes on live.`]);
    await publish({ channel, data: 'new' });
    await expect.poll(async () => (await texts(4))[0], WAIT).toBe('new');
    await page.locator('#stream-begins').selectOption('since');
    await page.locator('#stream-open').click();
    await expect.poll(() => text('stream-since-wrong'), WAIT).toBe('Give a date and a time.');
    await page.locator('#stream-since').fill('2026-01-01T00:00:00');
    await page.locator('#stream-open').click();
    await expect.poll(async () => (await texts(4)).slice(0, 4), WAIT).toEqual(['new', 'old 3', 'old 2', 'old 1']);
    await page.locator('#stream-begins').selectOption('id');
    await page.locator('#stream-id').fill('from elsewhere');
    await page.locator('#stream-open').click();
    await expect.poll(() => texts(2), WAIT).toContain('gap');
    expect((await texts(4)).join()).toContain('malformed');
  });

  it('says why a stream is refused', async () => {
    await open();
    await page.locator('#stream-channels').fill('or$ders');
    await page.locator('#stream-open').click();
    await expect
      .poll(() => text('stream-state'), WAIT)
      .toMatch(/^refused: HTTP 400: channel: 'or\$ders' is not a channel/);
  });
});

describe('the demonstration of a resume', () => {
  it('cuts a stream for 5 s, says where it resumed from, and counts 0 lost and 0 twice', async () => {
    await open();
    await page.locator('#resume').click();
    await expect
      .poll(() => text('resume-verdict'), WAIT)
      .toMatch(
        /^\d+ of \d+ events were published while the stream was cut\. It resumed from the memory of the replica/,
      );
    expect(await text('resume-verdict')).toMatch(/: 0 lost, 0 twice\.$/);
    const [, missed, published] = /^(\d+) of (\d+)/.exec(await text('resume-verdict')) ?? [];
    expect(Number(missed)).toBeGreaterThan(20);
    expect(await page.locator('.timeline .seen').count()).toBe(Number(published));
    const facts = (await page.locator('#resume-facts').textContent()) ?? '';
    const channel = /dashboard\.resume\.[0-9a-f]{8}/.exec(facts)?.[0];
    const kept = await fetch(`${service.url}/api/v1/channels/${channel}/history?limit=1000`);
    // Against the log itself, and not only against what the page believes to have published.
    expect(((await kept.json()) as { events: unknown[] }).events).toHaveLength(Number(published));
    expect(facts).toContain('Resumed fromring');
    await page.locator('#resume-facts').scrollIntoViewIfNeeded();
    await look(page, 'events-resume');
  });

  it('says so where it cannot be shown', async () => {
    await open();
    await page.route('**/api/v1/events', (route) =>
      route.fulfill({ status: 403, body: '{"detail":"not allowed here"}' }),
    );
    await page.locator('#resume').click();
    await expect.poll(() => text('resume-verdict'), WAIT).toBe('It could not be shown: HTTP 403: not allowed here.');
  });
});

describe('where a credential is asked for', () => {
  const secret = 'canary-4711-canary-4711-canary-4711';
  let guarded: Service;

  beforeAll(async () => {
    const entry = {
      name: 'page',
      sha256: createHash('sha256').update(secret).digest('hex'),
      publish: ['*'],
      subscribe: ['*'],
    };
    const file = join(schemas, 'keys');
    writeFileSync(file, JSON.stringify({ keys: [entry] }));
    guarded = await Service.start({ SSE_AUTH: 'on', SSE_KEYS_FILES: file });
    process.env['API_URL'] = guarded.url;
  });

  afterAll(async () => {
    process.env['API_URL'] = service.url;
    await guarded?.stop('SIGKILL');
  });

  it('the stream is refused until a token is given; then everything works, and no command holds the token', async () => {
    await visit(page, `${site.url}/#/events`);
    await expect.poll(() => text('stream-state'), WAIT).toMatch(/^refused: HTTP 401/);
    await expect.poll(() => text('log-empty'), WAIT).toContain('Enter a token at the top');
    await page.locator('#token').click();
    await page.locator('#token-field').fill(`page.${secret}`);
    await page.getByRole('button', { name: 'Use this token' }).click();
    await expect.poll(() => text('stream-state'), WAIT).toMatch(/^live from/);
    await page.locator('#publish').click();
    await expect.poll(() => text('publish-status'), WAIT).toMatch(/Seen here/);
    await lines().first().click();
    await page.locator('#curl').click();
    const command = await page.evaluate(() => navigator.clipboard.readText());
    expect(command).toContain('-H "Authorization: Bearer $TOKEN"');
    expect(command).not.toContain(secret);
  });
});

describe('how it looks', () => {
  let world: World;

  beforeAll(async () => {
    world = await World.make();
  });

  afterAll(() => {
    world?.close();
    process.env['API_URL'] = service.url;
    for (const name of ['PROMETHEUS_URL', 'REPLICAS', 'LIVE_DIR']) delete process.env[name];
  });

  async function scene(size: { width: number; height: number }): Promise<void> {
    const samples: [channel: string, event: string, data: string][] = [
      ...Array.from({ length: 6 }, (_, n): [string, string, string][] => [
        [
          'orders.eu',
          n % 3 === 1 ? 'cancelled' : 'created',
          `{"id":${4700 + n},"total":${99.5 + n},"items":[{"sku":"A-17","count":2}]}`,
        ],
        ['stock.us', 'price', `{"symbol":"ACME","price":${101.25 + n}}`],
        ['sensors.hall-3', 'reading', `{"celsius":${20 + n / 8},"humidity":0.41}`],
      ]).flat(),
      ['news', 'message', 'two\ndata: lines, and \u202etext that turns'],
      ['orders.us', 'created', '{"id":4711,"total":12,"items":[]}'],
    ];
    const frame = ([channel, event, data]: (typeof samples)[number], n: number): string => {
      const time = new Date(world.now - 9_000 + n * 437).toISOString();
      return `event: meta\ndata: {"channel":"${channel}","time":"${time}"}\n\nevent: ${event}\ndata: ${data}\nid: ${41 + n}-9f2c0b1e\n\n`;
    };
    world.events = samples.map(frame).join('');
    await standStill(world.now);
    await page.setViewportSize(size);
    await visit(page, `${site.url}/#/events`);
    await expect.poll(async () => (await texts(3))[0], WAIT).toBe('orders.us');
  }

  it('with events, and one of them open', async () => {
    await scene(DESKTOP);
    await look(page, 'events-log');
    await page.locator('.log-line', { hasText: '"id":4704' }).click();
    await expect.poll(() => text('inspector-title'), WAIT).toBe('cancelled');
    await look(page, 'events-open');
  });

  it('on a phone', async () => {
    await scene(PHONE);
    await look(page, 'events-phone', { size: PHONE });
    const drawn = () => page.locator('.timeline').evaluate((one) => [one.getAttribute('viewBox'), one.clientWidth]);
    await expect.poll(async () => (await drawn())[0], WAIT).toBe(`0 0 ${(await drawn())[1]} 76`);
  });

  it('with a form that is refused', async () => {
    await scene(DESKTOP);
    const errors = [{ field: '0.data', pointer: '/data/n', detail: "'seven' is not of type 'integer'" }];
    const body = JSON.stringify({ title: 'Unprocessable Content', status: 422, detail: '…', errors });
    await page.route('**/api/v1/events', (route) => route.fulfill({ status: 422, body }));
    await page.locator('#publish-channel').fill('');
    await page.locator('#publish').click();
    await expect.poll(() => text('publish-channel-wrong'), WAIT).toContain('Give a channel');
    await page.locator('#publish-channel').fill('strict');
    await page.locator('#publish-data').fill('{"n": "seven"}');
    await page.locator('#publish').click();
    await expect.poll(() => text('publish-data-wrong'), WAIT).toMatch(/integer/);
    await look(page, 'events-refused');
  });
});

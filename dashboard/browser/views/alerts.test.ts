import { describe, expect, it } from 'vitest';
import { look, PHONE, visit } from '../screens';
import { page, playedStage, site, standStill, world } from '../stage';

/** Alerts, their rules and their receivers, of a platform that a test decides about. */
const WAIT = { timeout: 60_000 };
const RUNBOOK = 'https://example.org/docs/runbook.md';

playedStage();

const headline = () => page.locator('#alerts-headline').textContent();
const names = () => page.locator('.alarms:not(.quiet-rules) li b').allTextContents();

function rule(name: string, query: string, severity: string, changes: Record<string, unknown> = {}): typeof changes {
  const annotations = {
    summary: `${name} is about something`,
    description: 'What it means for those who use the platform.',
    runbook_url: `${RUNBOOK}#${name.toLowerCase()}`,
  };
  return {
    type: 'alerting',
    name,
    query,
    duration: 30,
    state: 'inactive',
    health: 'ok',
    labels: { severity },
    annotations,
    alerts: [],
    ...changes,
  };
}

function alert(name: string, state: string, secondsAgo: number, labels: Record<string, string>, summary: string) {
  const annotations = {
    summary,
    description: 'Publishing gets 503 there, and streams get nothing new. It mends itself once Kafka answers.',
    runbook_url: `${RUNBOOK}#${name.toLowerCase()}`,
    runbook: `docs/runbook.md#${name.toLowerCase()}`,
  };
  const activeAt = new Date(world.now - secondsAgo * 1000).toISOString();
  return { labels: { alertname: name, ...labels }, annotations, state, activeAt, value: '0e+00' };
}

function trouble(): void {
  const down = world.replicas.map((name) =>
    alert(
      'KafkaUnreachable',
      'firing',
      200,
      { severity: 'critical', instance: `${name}:8000` },
      `${name} cannot reach Kafka`,
    ),
  );
  const slow = alert('DeliveryLatency', 'pending', 40, {}, '1 % of events take longer than 1.4 s');
  world.alerts = [...down, slow];
  world.rules = [
    rule('Watchdog', 'vector(1)', 'none', {
      state: 'firing',
      alerts: [alert('Watchdog', 'firing', 9000, {}, 'It works')],
    }),
    rule('KafkaUnreachable', 'sse_log_up == 0', 'critical', { state: 'firing', alerts: down }),
    rule('DeliveryLatency', 'latency > 1', 'warning', { state: 'pending', alerts: [slow] }),
    rule('Gaps', 'gaps > 0', 'warning', { health: 'err', lastError: 'many-to-many matching is not allowed' }),
    ...['BackupFailed', 'CertificateEnded', 'ConsumerLag', 'DiskFull', 'HostBusy'].map((name) =>
      rule(name, 'a > 1', 'warning'),
    ),
  ];
  world.receivers = { email: [3, 0], ntfy: [3, 2], watchdog: [30, 0] };
}

async function open(hash = '#/alerts'): Promise<void> {
  // The figures of the world end at its own time.
  await standStill(world.now);
  await visit(page, `${site.url}/${hash}`);
  await expect.poll(headline, WAIT).not.toBe('Looking…');
}

describe('alerts', () => {
  it('come in the order of what is to be done, and the quiet rules last', async () => {
    trouble();
    await open();
    await expect.poll(headline, WAIT).toBe('3 alerts fire, and users notice.');
    expect(await names()).toEqual(['KafkaUnreachable', 'DeliveryLatency', 'Gaps']);
    expect(await page.locator('#alerts-subline').textContent()).toMatch(
      /^1 rule is about to fire\. 1 rule is not known\. The receiver ntfy does not take alerts\. 9 rules, asked /,
    );
    await look(page, 'alerts-fire');
    await page.getByRole('button', { name: 'Show 6 quiet rules' }).click();
    expect(await page.locator('.quiet-rules li').count()).toBe(6);
  });

  it('open with their chart, what they are about, and the address of the runbook; the address keeps that', async () => {
    trouble();
    await open();
    await page.getByRole('button', { name: 'KafkaUnreachable' }).click();
    const link = page.getByRole('link', { name: 'What to do, in the runbook' });
    await expect.poll(() => link.getAttribute('href'), WAIT).toBe(`${RUNBOOK}#kafkaunreachable`);
    expect(await page.locator('.about li').count()).toBe(3);
    await expect.poll(() => page.locator('.detail canvas').count(), WAIT).toBe(1);
    expect(await page.locator('.detail .legend').textContent()).toContain('limit');
    expect(page.url()).toContain('rule=');
    await look(page, 'alerts-open');
    await page.keyboard.press('Escape');
    expect(await page.locator('.detail').count()).toBe(0);
    await page.keyboard.press('Enter'); // the focus is on its row again
    expect(await page.locator('.detail').count()).toBe(1);
  });

  it('are found by a search, also the quiet ones', async () => {
    trouble();
    await open();
    await page.keyboard.press('/');
    await page.keyboard.type('disk');
    await expect.poll(() => page.locator('.alarms li b').allTextContents(), WAIT).toEqual(['DiskFull']);
  });

  it('on a phone', async () => {
    trouble();
    await page.setViewportSize(PHONE);
    await open();
    await expect.poll(headline, WAIT).toContain('fire');
    await look(page, 'alerts-phone', { size: PHONE });
  });
});

describe('what is not known', () => {
  it('is not drawn as quiet: Prometheus is gone, and comes back', async () => {
    trouble();
    world.prometheus = 'gone';
    await open();
    await expect.poll(headline, WAIT).toBe('Alerts are not known.');
    expect(await page.locator('#alerts-subline').textContent()).toContain('Prometheus does not answer');
    expect(await page.locator('.alarms li').count()).toBe(0);
    await look(page, 'alerts-not-known');
    world.prometheus = 'answers';
    await expect.poll(headline, WAIT).toContain('3 alerts fire');
  });

  it('nobody is called where nothing says who', async () => {
    trouble();
    world.receivers = null;
    await open();
    await expect.poll(() => page.locator('#alerts-subline').textContent(), WAIT).toContain('Nobody is called');
  });

  it('shows what comes from outside as text, and no address but one of the web as a link', async () => {
    const html = '<img src="x" onerror="document.title=1">';
    const one = alert('Bad', 'firing', 9, { instance: html }, html);
    one.annotations.runbook_url = 'javascript:alert(1)';
    one.annotations.runbook = 'docs/runbook.md#<b>';
    world.rules = [rule('Bad', html, 'critical', { state: 'firing', alerts: [one] })];
    await open();
    await page.getByRole('button', { name: 'Bad' }).click();
    await expect.poll(() => page.locator('.about li b').textContent(), WAIT).toBe(html);
    expect(await page.locator('.detail pre').textContent()).toBe(html);
    expect(await page.locator('.detail .help').textContent()).toContain('docs/runbook.md#<b> in the repository');
    expect(await page.locator('.view.alerts :is(img, .help a)').count()).toBe(0);
  });
});

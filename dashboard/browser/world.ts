import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listening } from './platform';

/**
 * A platform that a test decides about: replicas, Prometheus and files that answer as the real ones do, always the same.
 * So each state can be shown without a container, and a picture of it is the same everywhere.
 */
export class World {
  /** The time at which the figures end; the browser's clock is set to it. */
  readonly now = Date.UTC(2026, 10, 20, 12, 0, 0);
  readonly replicas = ['app-1', 'app-2', 'app-3'];
  /** Replicas that do not answer. */
  readonly stopped = new Set<string>();
  /** The part of the error budget that is left. */
  budget = 0.87;
  kafka = 'ok';
  redis = 'ok';
  nginx: 'answers' | 'gone' | 'hangs' | 'html' = 'answers';
  prometheus: 'answers' | 'gone' = 'answers';
  /** What the API says about the token of the page. */
  token: 'accepted' | 'expired' = 'accepted';
  alerts: Record<string, unknown>[] = [];
  /** What a stream says after its opening. */
  events = '';
  /** The rules of Prometheus, in one group; without any, there are none. */
  rules: Record<string, unknown>[] = [];
  /** Receivers of alerts by name: how many messages they took, and how many they refused after that. */
  receivers: Record<string, [taken: number, refused: number]> | null = null;
  private readonly servers: Server[] = [];
  private readonly streams = new Set<ServerResponse>();
  private number = 0;
  private readonly directory = mkdtempSync(join(tmpdir(), 'control-room-'));

  static async make(): Promise<World> {
    const world = new World();
    const api = await world.serve((path, response) => world.api(path, response));
    const prometheus = await world.serve((path, response) => world.answer(path, response));
    const replicas = await Promise.all(
      world.replicas.map((name) => world.serve((_, response) => world.health(name, response))),
    );
    process.env['API_URL'] = api;
    process.env['PROMETHEUS_URL'] = prometheus;
    process.env['REPLICAS'] = world.replicas.map((name, index) => `${name}=${replicas[index]}`).join(',');
    process.env['LIVE_DIR'] = world.directory;
    world.write('releases', world.releases());
    return world;
  }

  /** Everything is well again. */
  heal(): void {
    this.stopped.clear();
    [this.kafka, this.redis, this.nginx, this.prometheus, this.token] = ['ok', 'ok', 'answers', 'answers', 'accepted'];
    [this.alerts, this.rules, this.receivers, this.budget] = [[], [], null, 0.87];
    this.write('releases', this.releases());
  }

  write(name: 'releases' | 'topology' | 'matrix', content: unknown): void {
    writeFileSync(join(this.directory, `${name}.json`), JSON.stringify(content));
  }

  remove(name: 'releases' | 'topology' | 'matrix'): void {
    rmSync(join(this.directory, `${name}.json`), { force: true });
  }

  releases(): Record<string, unknown> {
    const release = (number: number, minutes: number, changed: string): Record<string, unknown> => ({
      number,
      commit: '6f29dad',
      who: 'anna',
      when: new Date(this.now - minutes * 60_000).toISOString(),
      why: '',
      changed,
      outcome: 'applied',
      projects: ['sse-platform'],
      changes: [],
      verification: null,
      back: '',
    });
    const time = new Date(this.now - 60_000).toISOString();
    return {
      time,
      stack: 'sse',
      current: 9,
      releases: [release(9, 32, 'a new image of app-1'), release(8, 4000, 'nginx')],
      runs: [],
    };
  }

  close(): void {
    for (const server of this.servers) {
      server.close();
      server.closeAllConnections();
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  private async serve(handle: (path: URL, response: ServerResponse) => void): Promise<string> {
    const server = createServer((request, response) => handle(new URL(request.url ?? '/', 'http://x'), response));
    this.servers.push(server);
    return `http://127.0.0.1:${await listening(server)}`;
  }

  /** Streams that are open now. */
  get open(): number {
    return this.streams.size;
  }

  /** Sends events to every open stream at a rate, until a number of them is sent. */
  async flow(perSecond: number, count: number): Promise<void> {
    const begun = performance.now();
    for (let sent = 0; sent < count;) {
      const due = Math.min(count, Math.ceil(((performance.now() - begun) / 1000) * perSecond));
      let frames = '';
      for (; sent < due; sent += 1) {
        this.number += 1;
        const body = JSON.stringify({
          order: this.number,
          customer: `c${this.number % 977}`,
          total: (this.number % 9973) / 100,
        });
        frames += `event: meta\ndata: {"channel":"orders.${this.number % 7}","time":"2026-11-20T12:00:00.000Z"}\n\n`;
        frames += `event: created\ndata: ${body}\nid: ${this.number}-0a1b2c3d\n\n`;
      }
      for (const stream of this.streams) stream.write(frames);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  private stream(replica: string, response: ServerResponse): void {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'X-Replica': replica });
    response.write(`retry: 500\nevent: cursor\ndata: {"source":"new"}\nid: ${this.number}-0a1b2c3d\n\n`);
    if (this.events !== '') response.write(this.events);
    this.streams.add(response);
    response.on('close', () => this.streams.delete(response));
  }

  private health(name: string, response: ServerResponse): void {
    if (this.stopped.has(name)) return void response.destroy();
    const unavailable = this.kafka !== 'ok';
    const status = unavailable ? 'unavailable' : this.redis === 'ok' ? 'ok' : 'degraded';
    json(response, unavailable ? 503 : 200, { status, checks: { kafka: this.kafka, redis: this.redis } }, name);
  }

  private api(path: URL, response: ServerResponse): void {
    if (this.nginx === 'gone') return void response.destroy();
    if (this.nginx === 'hangs') return;
    if (this.nginx === 'html') {
      response.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>It works!</h1>');
      return;
    }
    const alive = this.replicas.find((name) => !this.stopped.has(name));
    if (alive === undefined) return json(response, 502, undefined);
    if (path.pathname === '/api/v1/health/ready') return this.health(alive, response);
    if (this.token === 'expired')
      return json(response, 401, { title: 'Unauthorized', detail: 'the token has expired' }, alive);
    if (path.pathname === '/api/v1/stats') return json(response, 200, { replica: alive, subscribers: 42 }, alive);
    if (path.pathname === '/api/v1/limits') return json(response, 200, LIMITS, alive);
    if (path.pathname === '/api/v1/stream') return this.stream(alive, response);
    json(response, 404, { title: 'Not Found' }, alive);
  }

  private answer(path: URL, response: ServerResponse): void {
    if (this.prometheus === 'gone') return void response.destroy();
    const say = (data: unknown): void => json(response, 200, { status: 'success', data });
    const query = path.searchParams.get('query') ?? '';
    if (path.pathname.endsWith('/alerts')) return say({ alerts: this.alerts });
    if (path.pathname.endsWith('/rules')) return say({ groups: [{ name: 'app', rules: this.rules }] });
    if (path.pathname.endsWith('/targets')) return say({ activeTargets: this.targets() });
    if (path.pathname.endsWith('/query_range')) {
      const [from, to, step] = ['start', 'end', 'step'].map((name) => Number(path.searchParams.get(name)));
      return say({ resultType: 'matrix', result: this.range(query, from ?? 0, to ?? 0, step ?? 1) });
    }
    say({ resultType: 'vector', result: this.vector(query) });
  }

  private targets(): unknown[] {
    const others = ['kafka:7071', 'redis-exporter:9121', 'nginx-exporter:9113', 'node-exporter:9100'];
    const target = (instance: string, job: string, up: boolean): unknown => ({
      labels: { job, instance },
      health: up ? 'up' : 'down',
      lastError: up ? '' : 'connect: no route to host',
      lastScrape: new Date(this.now).toISOString(),
      lastScrapeDuration: 0.01,
      scrapeInterval: '5s',
      scrapeUrl: `http://${instance}/metrics`,
    });
    return [
      ...this.replicas.map((name) => target(`${name}:8000`, 'app', !this.stopped.has(name))),
      ...others.map((instance) => target(instance, instance.split(/[-:]/)[0] ?? '', true)),
      ...(this.receivers === null ? [] : [target('alertmanager:9093', 'alertmanager', true)]),
    ];
  }

  private vector(query: string): unknown[] {
    const at = this.now / 1000;
    const each = (value: (index: number) => number): unknown[] =>
      this.replicas.map((name, index) => ({ metric: { instance: `${name}:8000` }, value: [at, String(value(index))] }));
    const container = (value: number): unknown[] =>
      this.replicas.map((name) => ({ metric: { instance: name, container: name }, value: [at, String(value)] }));
    const answers: [RegExp, unknown[]][] = [
      [/ratio_rate3d/, [{ metric: {}, value: [at, '0.99982'] }]],
      [/^process_start_time/, each((index) => at - 32 * 60 - index * 20)],
      [/^sse_subscribers/, each((index) => 40 + index)],
      [/^sum by \(instance\) \(rate\(sse_(publishes|events)/, each((index) => 2 + index)],
      [/^sum by \(instance\) \(rate\(sse_deliveries/, each((index) => 28 + 3 * index)],
      [/^rate\(sse_deliveries/, each((index) => 960 + 31 * index)],
      [/^sse_log_lag/, each(() => 0)],
      [/^histogram_quantile/, each((index) => 0.011 + 0.001 * index)],
      [/cpu/, container(0.083)],
      [/container_memory/, container(74 * 2 ** 20)],
      [/memory_limit/, container(256 * 2 ** 20)],
      [
        /^max_over_time/,
        this.replicas
          .filter((name) => this.stopped.has(name))
          .map((name) => ({ metric: { instance: `${name}:8000` }, value: [at, String(at - 125)] })),
      ],
      [/sse_container_release/, container(9)],
    ];
    return answers.find(([pattern]) => pattern.test(query))?.[1] ?? [];
  }

  private range(query: string, from: number, to: number, step: number): unknown[] {
    const times = Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);
    const series = (metric: Record<string, string>, value: (at: number) => number): unknown => ({
      metric,
      values: times.map((at) => [at, String(value(at))]),
    });
    const early = (at: number): boolean => at < this.now / 1000 - 1800;
    const late = (at: number): boolean => at < this.now / 1000 - 600;
    if (query.includes('alertmanager_notification_requests_total'))
      return Object.entries(this.receivers ?? {}).map(([receiver_name, [taken, refused]]) =>
        series({ receiver_name }, (at) => (early(at) ? 0 : taken) + (late(at) ? 0 : refused)),
      );
    if (query.includes('alertmanager_notification_requests_failed'))
      return Object.entries(this.receivers ?? {}).map(([receiver_name, [, refused]]) =>
        series({ receiver_name }, (at) => (late(at) ? 0 : refused)),
      );
    if (query === 'sse_log_up')
      return this.replicas.map((name) =>
        series({ instance: `${name}:8000`, job: 'app' }, (at) => (at > this.now / 1000 - 200 ? 0 : 1)),
      );
    if (/^[\d.]+$/.test(query)) return [series({}, () => Number(query))];
    const load = (at: number): number => 70 + 25 * Math.sin(at / 97) + 9 * Math.sin(at / 13);
    if (query.includes('sse_events_total')) return [series({}, load)];
    if (query.includes('sse_deliveries_total')) return [series({}, (at) => load(at) * 2.4)];
    if (query.includes('_bucket')) {
      const shares = {
        '0.002': 0.05,
        '0.005': 0.4,
        '0.01': 0.8,
        '0.02': 0.96,
        '0.05': 0.985,
        '0.1': 0.996,
        '1': 1,
        '+Inf': 1,
      };
      return Object.entries(shares).map(([le, share]) =>
        series({ le }, (at) => load(at) * step * Math.min(1, share * (1 + 0.08 * Math.sin(at / 41)))),
      );
    }
    if (query.includes('sse_subscribers'))
      return this.replicas.map((name, index) =>
        series({ instance: `${name}:8000` }, (at) => Math.round(40 + index + 6 * Math.sin(at / 150 + index))),
      );
    if (query.includes('budget')) return [series({ slo: 'deliveries' }, () => this.budget)];
    if (query.includes('process_start'))
      return this.replicas.map((name, index) =>
        series({ instance: `${name}:8000` }, (at) =>
          at < this.now / 1000 - 300 + index * 20 ? 1000 : this.now / 1000 - 300 + index * 20,
        ),
      );
    return [];
  }
}

const LIMITS = {
  ...{ event_bytes: 61440, body_bytes: 262144, batch_events: 500, channels_per_stream: 100 },
  load_test: { events_per_second: 500, seconds: 300 },
};

function json(response: ServerResponse, status: number, body: unknown, replica?: string): void {
  const headers = {
    'Content-Type': body === undefined ? 'text/html' : 'application/json',
    ...(replica === undefined ? {} : { 'X-Replica': replica }),
  };
  response.writeHead(status, headers).end(body === undefined ? '<h1>502</h1>' : JSON.stringify(body));
}

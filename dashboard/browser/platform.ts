import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type BrowserContext, chromium as playwright } from 'playwright-core';
import { type PreviewServer, preview } from 'vite';

const ROOT = join(import.meta.dirname, '..', '..');
const START_MS = 30_000;
const ASK_MS = 50;

/** The real SSE service in embedded mode (no Kafka, no Redis), as a process of its own that can be killed. */
export class Service {
  private process: ChildProcess | null = null;
  private output = '';

  private constructor(
    readonly port: number,
    private readonly settings: Record<string, string>,
  ) {}

  static async start(settings: Record<string, string> = {}): Promise<Service> {
    const service = new Service(await freePort(), settings);
    await service.start();
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const environment = {
      ...process.env,
      PYTHONUNBUFFERED: '1',
      SSE_HOST: '127.0.0.1',
      SSE_PORT: String(this.port),
      SSE_REPLICA: 'sse-app-1',
      SSE_RETRY_MILLISECONDS: '500',
      SSE_DRAIN_SECONDS: '1',
      ...this.settings,
    };
    const child = spawn(python(), ['-m', 'sse_app'], { cwd: join(ROOT, 'app'), env: environment });
    this.process = child;
    this.output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (text: Buffer) => {
        this.output = (this.output + text.toString()).slice(-4000);
      });
    }
    const exited = once(child, 'exit');
    const deadline = Date.now() + START_MS;
    while (!(await this.ready())) {
      if (child.exitCode !== null) throw new Error(`python -m sse_app ended with ${child.exitCode}:\n${this.output}`);
      if (Date.now() > deadline) throw new Error(`python -m sse_app wasn't ready in ${START_MS} ms:\n${this.output}`);
      await Promise.race([exited, setTimeout(ASK_MS)]);
    }
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.process;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  private async ready(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/health/ready`)).ok;
    } catch {
      return false; // nothing listens yet
    }
  }
}

/** A door to the service whose connections can be cut, as a network does. */
export class Link {
  /** The Last-Event-ID of each connection's first request, empty where it has none. */
  readonly cursors: string[] = [];
  /** What the service has sent over it. */
  sent = '';
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;
  private port = 0;

  private constructor(to: number) {
    this.server = createServer((near) => {
      const far = connect(to, '127.0.0.1');
      near.once('data', (head: Buffer) =>
        this.cursors.push(/^last-event-id: (.*)$/im.exec(head.toString())?.[1]?.trim() ?? ''),
      );
      far.on('data', (part: Buffer) => (this.sent += part.toString()));
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.sockets.add(socket);
        socket.pipe(other);
        socket.on('error', () => other.destroy());
        socket.on('close', () => {
          this.sockets.delete(socket);
          other.destroy();
        });
      }
    });
  }

  static async to(service: Service): Promise<Link> {
    const link = new Link(service.port);
    link.port = await listening(link.server);
    return link;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  close(): void {
    this.server.close();
    this.cut();
  }
}

export interface Site {
  url: string;
  /** Breaks every connection; new ones are welcome. */
  cut(): void;
  close(): Promise<void>;
}

/** Serves the built page as the container's NGINX does; where it passes requests on to, is told by the environment. */
export async function servePage(): Promise<Site> {
  const port = await freePort();
  const server: PreviewServer = await preview({
    root: join(ROOT, 'dashboard'),
    logLevel: 'silent',
    preview: { host: '127.0.0.1', port, strictPort: true },
  });
  return {
    url: `http://127.0.0.1:${port}`,
    cut: () => 'closeAllConnections' in server.httpServer && server.httpServer.closeAllConnections(),
    close: () => server.close(),
  };
}

/** A headless Chromium with a profile of its own. */
export async function openBrowser(): Promise<{ context: BrowserContext; close(): Promise<void> }> {
  const profile = mkdtempSync(join(tmpdir(), 'dashboard-browser-'));
  const context = await playwright.launchPersistentContext(profile, {
    executablePath: chromium(),
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  const close = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { context, close };
}

export async function publish(to: string, events: unknown, token = ''): Promise<string[]> {
  const response = await fetch(`${to}/api/v1/events`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...(token === '' ? {} : { Authorization: `Bearer ${token}` }) },
    body: JSON.stringify(events),
  });
  if (response.status !== 202) throw new Error(`${response.status}: ${await response.text()}`);
  return ((await response.json()) as { ids: string[] }).ids;
}

function chromium(): string {
  const path = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
  if (existsSync(path)) return path;
  throw new Error(
    `No browser at ${path}. Install it with "sudo apt-get install chromium" (Debian), or set CHROMIUM to another Chromium's path.`,
  );
}

function python(): string {
  const environment = join(ROOT, '.venv', 'bin', 'python');
  return process.env['PYTHON'] ?? (existsSync(environment) ? environment : 'python3');
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  server.close();
  await once(server, 'close');
  return port;
}

/** Has a server listen on any free port of this machine alone, and gives the port. */
export async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

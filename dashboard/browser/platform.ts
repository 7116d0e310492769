import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type PreviewServer, preview } from 'vite';

const ROOT = join(import.meta.dirname, '..', '..');
const START_MS = 30_000;
const ASK_MS = 50;

/** The real SSE service in embedded mode (no Kafka, no Redis), as a process of its own that can be killed. */
export class Service {
  private process: ChildProcess | null = null;
  private output = '';

  private constructor(readonly port: number) {}

  static async start(): Promise<Service> {
    const service = new Service(await freePort());
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

export interface Site {
  url: string;
  /** Breaks every connection; new ones are welcome. */
  cut(): void;
  close(): Promise<void>;
}

/** Serves the built page with /api/ sent to the service, as the container's nginx does. */
export async function servePage(api: string): Promise<Site> {
  process.env['API_URL'] = api;
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

export function chromium(): string {
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
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  server.close();
  await once(server, 'close');
  return address.port;
}

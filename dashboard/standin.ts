import { existsSync, readFileSync } from 'node:fs';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Connect, Plugin } from 'vite';

/**
 * What the container's NGINX does, for `npm run dev` and `vite preview`: passes /api/, /prom/ and the health of replicas
 * on, and serves /live/. Where to, is told by the environment, which is read anew for each request:
 *   API_URL         the service, by default http://127.0.0.1:8000
 *   PROMETHEUS_URL  by default http://127.0.0.1:9090
 *   REPLICAS        app-1=http://172.18.0.5:8000,... by default one replica: the service
 *   LIVE_DIR        the directory of releases.json, topology.json and matrix.json
 *   PAGE_TIME       what time answers say that it is, in milliseconds since 1970; by default what time it is
 */
export function standIn(): Plugin {
  return {
    name: 'stand-in',
    configureServer: (server) => void server.middlewares.use(answer),
    configurePreviewServer: (server) => void server.middlewares.use(answer),
  };
}

/** As in roles/dashboard/vars/main.yml; `vite` itself needs a style within the page. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const answer: Connect.NextHandleFunction = (incoming, outgoing, next) => {
  const url = new URL(incoming.url ?? '/', 'http://page');
  const [, first = '', second = ''] = url.pathname.split('/');
  if (first === 'api') return pass(incoming, outgoing, `${apiUrl()}${incoming.url}`, 'nginx-gone');
  if (first === 'replicas') return replica(incoming, outgoing, second);
  if (first === 'live') return live(outgoing, second);
  const question = /^\/prom\/(?:api\/v1\/)?(query|query_range|rules|alerts|targets)$/.exec(url.pathname)?.[1];
  if (question !== undefined && incoming.method === 'GET') {
    const prometheus = process.env['PROMETHEUS_URL'] ?? 'http://127.0.0.1:9090';
    return pass(incoming, outgoing, `${prometheus}/api/v1/${question}${url.search}`, 'prometheus-gone');
  }
  if (first === 'prom') return json(outgoing, question === undefined ? 404 : 405, {});
  if (process.env['NODE_ENV'] === 'production') outgoing.setHeader('Content-Security-Policy', POLICY);
  next();
};

const PATIENCE_MS = 4_000;

function apiUrl(): string {
  return process.env['API_URL'] ?? 'http://127.0.0.1:8000';
}

function replica(incoming: IncomingMessage, outgoing: ServerResponse, name: string): void {
  const told = process.env['REPLICAS'] ?? `app-1=${apiUrl()}`;
  const replicas = new Map(told.split(',').map((one) => one.split('=', 2) as [string, string]));
  if (name === '') return json(outgoing, 200, { replicas: [...replicas.keys()] });
  const to = replicas.get(name);
  if (to === undefined) return json(outgoing, 404, {});
  pass(incoming, outgoing, `${to}/health/ready`, 'replica-gone');
}

function live(outgoing: ServerResponse, name: string): void {
  const path = join(process.env['LIVE_DIR'] ?? '/nowhere', name);
  if (!/^(releases|topology|matrix)\.json$/.test(name) || !existsSync(path)) return json(outgoing, 404, {});
  outgoing.writeHead(200, { 'Content-Type': 'application/json', ...dated() }).end(readFileSync(path));
}

function json(outgoing: ServerResponse, status: number, body: unknown): void {
  outgoing.writeHead(status, { 'Content-Type': 'application/json', ...dated() }).end(JSON.stringify(body));
}

function dated(): Record<string, string> {
  const time = Number(process.env['PAGE_TIME'] ?? Date.now());
  return { Date: new Date(time).toUTCString() };
}

function pass(incoming: IncomingMessage, outgoing: ServerResponse, to: string, code: string): void {
  const far = request(to, {
    method: incoming.method ?? 'GET',
    headers: { ...incoming.headers, host: new URL(to).host },
  });
  far.on('response', (response) => {
    const { date: _, ...headers } = response.headers;
    outgoing.writeHead(response.statusCode ?? 502, { ...headers, ...dated() });
    response.pipe(outgoing);
    // An upstream that dies in the middle of a stream must cut the client's stream too, as NGINX does.
    response.on('close', () => {
      if (!outgoing.writableEnded) outgoing.destroy();
    });
  });
  // A stream may be silent for long; who asks for a health waits for it.
  if (/\/health\/(ready|live)$/.test(to)) far.setTimeout(PATIENCE_MS, () => far.destroy(new Error('no answer')));
  far.on('error', () => {
    if (outgoing.headersSent) outgoing.destroy();
    else json(outgoing, 502, { code });
  });
  outgoing.on('close', () => far.destroy());
  incoming.pipe(far);
}

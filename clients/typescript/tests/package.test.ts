import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'sse-client-'));
const npm = process.env['npm_execpath'] ?? 'npm';

afterAll(() => rmSync(folder, { recursive: true }));

it('has at most 4 KB, compressed as servers send it', () => {
  expect(gzipSync(readFileSync(join(root, 'dist', 'index.js')), { level: 9 }).length).toBeLessThanOrEqual(4096);
});

it('does as built, with short names, what its sources do', async () => {
  const { EventStream } = (await import(join(root, 'dist', 'index.js'))) as typeof import('../src/index.js');
  const texts = ['retry: 1\nid: 1-a\n\ndata: x\nid: 2-b\n\n', 'retry: 1\nid: 2-b\n\ndata: y\nid: 3-c\n\n'];
  const answer: typeof fetch = () =>
    Promise.resolve(new Response(texts.shift() ?? null, { headers: { 'Content-Type': 'text/event-stream' } }));
  const stream = new EventStream({ channels: ['a'], fetch: answer });
  const heard: string[] = [];
  stream.on('*', (event) => void heard.push(`on ${event.data}`));
  for await (const event of stream) if (heard.push(event.data) === 4) break;
  expect(heard).toEqual(['on x', 'x', 'on y', 'y']);
  expect(stream.state).toMatchObject({ phase: 'closed', cursor: '3-c', opened: 2 });
});

it('is installed from its package, and imported with its types by a program that is as strict as can be', () => {
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder];
  const name = execFileSync(process.execPath, [npm, ...pack], { cwd: root, encoding: 'utf8' }).trim();
  writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
  const install = ['install', '--offline', '--no-audit', '--no-fund', '--silent', join(folder, name)];
  execFileSync(process.execPath, [npm, ...install], { cwd: folder });
  const program = `
    import { EventStream, publish, type StreamEvent } from 'sse-platform-client';
    const stream = new EventStream<{ created: { id: number } }>({ channels: ['a'], signal: AbortSignal.abort() });
    stream.on('created', (event) => { const id: number = event.json().id; return void id; });
    const last: StreamEvent | null = null;
    export const ended: string = stream.state.phase + typeof publish + String(last);
  `;
  writeFileSync(join(folder, 'program.ts'), program);
  // What the documentation shows is such a program, too. Its blocks go on from the first one's import.
  const blocks = readFileSync(join(root, 'README.md'), 'utf8').matchAll(/^```ts\n(.*?)^```/gms);
  writeFileSync(join(folder, 'readme.ts'), [...blocks].map((block) => block[1]).join('\n'));
  const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2022', '--lib', 'es2022,dom'];
  const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules', '@types')];
  execFileSync(
    process.execPath,
    [join(root, 'node_modules', '.bin', 'tsc'), ...options, ...types, 'program.ts', 'readme.ts'],
    {
      cwd: folder,
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  const said = `import('sse-platform-client').then((all) => console.log(Object.keys(all).sort().join(' ')))`;
  expect(execFileSync(process.execPath, ['-e', said], { cwd: folder, encoding: 'utf8' })).toContain('EventStream');
}, 120_000); // npm and the compiler, on a machine that is busy

import { afterEach, expect, it, vi } from 'vitest';
import { EventStream } from './stream';

afterEach(() => vi.unstubAllGlobals());

it('resumes after the last id heard, and delivers events of every name', async () => {
  const asked: (string | null)[] = [];
  const names: string[] = [];
  const bodies = [
    'retry: 1\nid: 1-a\n\nevent: anything\ndata: x\nid: 2-b\n\n',
    'id: 3-c\n\nevent: other\ndata: y\nid: 4-d\n\n',
  ];
  vi.stubGlobal('fetch', async (_url: string, init: RequestInit) => {
    asked.push(new Headers(init.headers).get('Last-Event-ID'));
    const body = bodies.shift();
    if (body === undefined) return new Promise<Response>(() => {});
    return new Response(body, { headers: { 'Content-Type': 'text/event-stream', 'X-Replica': 'sse-app-1' } });
  });
  const stream = new EventStream('/s', {
    changed: () => {},
    event: (block) => names.push(`${block.event} ${block.id}`),
  });
  void stream.run();
  await vi.waitFor(() => expect(asked).toEqual([null, '2-b', '4-d']));
  expect(names).toEqual(['anything 2-b', 'other 4-d']);
});

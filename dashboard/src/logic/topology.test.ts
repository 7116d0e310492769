import { describe, expect, it } from 'vitest';
import matrixExample from './examples/matrix.json';
import topologyExample from './examples/topology.json';
import type { Container, Matrix, Topology } from './files';
import { misfit } from './files';
import { eventsPerDot, flows, flowSentence } from './flows';
import {
  boxState,
  command,
  edgeNow,
  edgeState,
  edgeTime,
  freshness,
  grid,
  milliseconds,
  type Now,
  picture,
  told,
} from './topology';

const TOPOLOGY = topologyExample as unknown as Topology;
const MATRIX = matrixExample as unknown as Matrix;
const AT = Date.parse(MATRIX.time);
const DARK: Now = {
  ...{ targets: null, replicas: null, answering: new Map(), silent: new Map() },
  ...{ matrix: null, fresh: false },
};
const PICTURE = picture(TOPOLOGY, MATRIX);
const container = (short: string): Container => TOPOLOGY.containers.find((one) => one.short === short) as Container;
const edge = (source: string, target: string) =>
  PICTURE.edges.find((one) => one.source === source && one.target === target);

describe('the picture of a stack', () => {
  it('has the world, every container in its tier, and every declared connection', () => {
    expect(PICTURE.tiers.map((one) => one.name)).toEqual(['world', 'entry', 'replicas', 'data', 'watchers']);
    expect(PICTURE.tiers[0]?.boxes).toEqual(['everybody', 'this host']);
    expect(PICTURE.tiers[2]?.boxes).toEqual(['sse-app-1', 'sse-app-2', 'sse-app-3']);
    const declared = new Set(
      TOPOLOGY.containers.flatMap((one) => one.reaches.map((reach) => `${one.name}>${reach.to}`)),
    );
    expect(new Set(PICTURE.edges.filter((one) => one.kind === 'declared').map((one) => one.id))).toEqual(declared);
  });

  it('shows many replicas of one service as one box, whose edges are as bad as the worst of them', () => {
    const replica = container('app-1');
    const many = Array.from({ length: 12 }, (_, index) => {
      const [name, short] = [`sse-app-${index + 1}`, `app-${index + 1}`];
      return { ...replica, name, short, aliases: [short] };
    });
    const crowd = { ...TOPOLOGY, containers: [...TOPOLOGY.containers.filter((one) => !one.rolling), ...many] };
    const broken = MATRIX.edges.map((one) =>
      one.source === 'sse-app-2' && one.port === 9092 ? { ...one, verdict: 'broken' as const } : one,
    );
    const drawn = picture(crowd, { ...MATRIX, edges: broken });
    const [box] = drawn.boxes.filter((one) => one.tier === 'replicas');
    expect(box?.title).toBe('12 × app');
    const toKafka = drawn.edges.find((one) => one.source === box?.id && one.target === 'sse-kafka');
    expect(toKafka && edgeState(toKafka)).toBe('broken');
    const replicas = many.map((one) => ({ name: one.short, state: 'good' as const, words: 'answers', checks: {} }));
    expect(box && boxState(box, { ...DARK, replicas })).toEqual({ state: 'up', word: '12 of 12 up' });
  });
});

describe('an edge', () => {
  it('is as measured, with the slowest of its connections', () => {
    const found = edge('sse-app-1', 'sse-kafka');
    expect(found && edgeState(found)).toBe('reached');
    expect(found && edgeTime(found)).toBeGreaterThan(0);
  });

  it('is not known where nothing measured it, and nobody measures those from outside', () => {
    const bare = picture(TOPOLOGY, null);
    expect(bare.edges.map(edgeState).filter((one) => one === 'reached')).toEqual([]);
    const outside = edge('everybody', 'sse-nginx');
    expect(outside && edgeState(outside)).toBe('outside');
  });
});

describe('an edge now', () => {
  const shown = picture(TOPOLOGY, MATRIX);
  const states = (words: string) => {
    const replicas = [{ name: 'app-1', state: words === 'answers' ? 'good' : 'bad', words, checks: {} } as const];
    const now = { ...DARK, replicas, matrix: MATRIX, fresh: true };
    return ['sse-nginx>sse-app-1', 'sse-app-1>sse-kafka', 'sse-nginx>sse-app-2'].map((id) => {
      const found = shown.edges.find((one) => one.id === id);
      return found && edgeNow(found, shown, now);
    });
  };
  it('is as measured while both of its ends answer, ready or not', () => {
    expect(states('answers')).toEqual(['reached', 'reached', 'reached']);
    expect(states('is not ready: kafka')).toEqual(['reached', 'reached', 'reached']);
  });
  it('is not known where one of them does not, whatever was measured before', () =>
    expect(states('does not answer')).toEqual(['unknown', 'unknown', 'reached']));
});

describe('the age of the matrix', () => {
  it.each<[what: string, made: number | null, now: number, fresh: boolean, sentence: RegExp]>([
    ['fresh', AT - 60_000, AT + 300_000, true, /^The connections were measured 5 min ago\.$/],
    ['from before the release that runs', AT + 1000, AT + 300_000, false, /before the release that runs now/],
    ['older than its limit', null, AT + 25 * 3_600_000, false, /more than 24 h/],
  ])('%s', (_, made, now, fresh, sentence) => {
    const found = freshness(MATRIX, made, now);
    expect(found.fresh).toBe(fresh);
    expect(found.sentence).toMatch(sentence);
  });

  it('there is none', () => {
    expect(freshness(null, null, AT)).toEqual({
      fresh: false,
      sentence: 'No connection was measured yet: ./sse verify does that.',
    });
  });
});

describe('a container is known', () => {
  const replica = (name: string, state: 'good' | 'bad', checks = {}) => ({ name, state, words: 'answers', checks });
  const target = (instance: string, health: 'up' | 'down') => ({ instance, health, error: 'refused' });
  it.each<[what: string, short: string, now: Partial<Now>, state: string, word: string]>([
    ['by its own answer', 'app-1', { replicas: [replica('app-1', 'good')] }, 'up', 'ready'],
    [
      'by the worst of two sources',
      'app-1',
      { replicas: [replica('app-1', 'good')], targets: [target('app-1:8000', 'down')] },
      'down',
      'down',
    ],
    ['by its target', 'node-exporter', { targets: [target('node-exporter:9100', 'up')] }, 'up', 'up'],
    [
      'by its own answer that it is not ready, which is an answer',
      'app-1',
      { replicas: [{ ...replica('app-1', 'bad'), words: 'is not ready: kafka' }] },
      'down',
      'not ready',
    ],
    [
      'by its silence',
      'app-1',
      { replicas: [{ ...replica('app-1', 'bad'), words: 'does not answer' }] },
      'down',
      'down',
    ],
    ['by those who use it', 'redis-master', { replicas: [replica('app-1', 'good', { redis: 'ok' })] }, 'up', 'answers'],
    [
      'by those who miss it',
      'kafka',
      { replicas: [replica('app-1', 'bad', { kafka: 'gone' })], targets: [target('kafka:7071', 'up')] },
      'down',
      'down',
    ],
    ['by this page', 'prometheus', { answering: new Map([['prometheus', 'It answers.']]) }, 'up', 'answers'],
    [
      'by this page, whatever was once measured',
      'nginx',
      { silent: new Map([['nginx', 'It does not answer.']]), targets: [], matrix: MATRIX, fresh: true },
      'down',
      'down',
    ],
    ['by a fresh matrix', 'grafana', { targets: [], matrix: MATRIX, fresh: true }, 'reached', 'reached'],
    ['not by an old one', 'grafana', { targets: [], matrix: MATRIX, fresh: false }, 'unknown', 'not known'],
    ['by nobody', 'grafana', {}, 'unknown', 'not known'],
  ])('%s', (_, short, now, state, word) => {
    expect(told(container(short), { ...DARK, ...now })).toMatchObject({ state, word });
  });
});

describe('dots', () => {
  const rates = {
    publishes: new Map([
      ['app-1', 3],
      ['app-2', 1],
    ]),
    events: new Map([
      ['app-1', 4],
      ['app-2', 4],
    ]),
    deliveries: new Map([
      ['app-1', 400],
      ['app-2', 0],
    ]),
  };
  it('go where events go: down to the log, and back to the world', () => {
    const all = flows(PICTURE, rates);
    const rate = (id: string, back: boolean) => all.find((one) => one.edge === id && one.back === back)?.rate;
    expect([rate('everybody>sse-nginx', false), rate('everybody>sse-nginx', true)]).toEqual([4, 400]);
    expect([rate('sse-nginx>sse-app-1', false), rate('sse-nginx>sse-app-2', true)]).toEqual([3, undefined]);
    expect([rate('sse-app-1>sse-kafka', false), rate('sse-app-1>sse-kafka', true)]).toEqual([3, 4]);
    expect(all.filter((one) => one.edge.includes('redis'))).toEqual([]);
    expect(eventsPerDot(all)).toBe(100);
    expect(flowSentence(all, true)).toBe('A dot is 100 events: published ones go down, delivered ones up.');
  });

  it('are none where nothing passes or nothing is known', () => {
    const none = { publishes: new Map(), events: new Map(), deliveries: new Map() };
    expect(flows(PICTURE, none)).toEqual([]);
    expect(flowSentence([], true)).toBe('No event passes now.');
    expect(flowSentence([], false)).toBe('How many events pass is not known.');
  });
});

it('the matrix is a table in the order of the picture', () => {
  const order = PICTURE.boxes.flatMap((box) => box.containers.map((one) => one.name));
  const { sources, columns, cell } = grid(MATRIX, order);
  expect(sources[0]).toBe('sse-nginx');
  expect(columns[0]).toEqual({ target: 'sse-nginx', port: 80 });
  expect(cell('sse-app-1', 'sse-kafka', 9092)?.verdict).toBe('reached');
  expect(cell('sse-kafka', 'sse-kafka', 9092)).toBeUndefined();
});

it('a file that is not what it should be is named', () => {
  expect(misfit('topology', TOPOLOGY)).toBe('');
  expect(misfit('matrix', MATRIX)).toBe('');
  expect(misfit('releases', '<h1>It works!</h1>')).toBe('releases.json holds no object');
  expect(misfit('releases', {})).toBe('releases.json does not say when it was written');
  expect(misfit('matrix', { time: MATRIX.time })).toBe('matrix.json has no list "edges"');
});

it('figures and commands are as people write them', () => {
  expect([0.002, 0.02, 0.4, 12.3].map(milliseconds)).toEqual(['<0.01 ms', '0.02 ms', '0.4 ms', '12 ms']);
  expect(command('./sse logs kafka', 'sse')).toBe('./sse logs kafka');
  expect(command('./sse logs kafka', 'two')).toBe('./sse logs kafka -e stack_name=two');
});

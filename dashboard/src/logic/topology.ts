/** What the page knows of each box and each edge of the topology, and from where. What is not known stays unknown. */
import type { Container, Matrix, MatrixEdge, Topology, Verdict } from './files';
import { ago, listed } from './format';
import { hostOf, type ReplicaHealth } from './parts';
import type { Target } from './promjson';
import type { Link, Tier } from './routing';

export const EVERYBODY = 'everybody';
export const THIS_HOST = 'this host';
/** Replicas of one service are one box from this number on. */
const CROWD = 9;
/** A matrix that is older says nothing about now. */
export const MATRIX_HOURS = 24;

export interface Box {
  id: string;
  title: string;
  tier: string;
  containers: Container[];
}

export interface Edge extends Link {
  ports: number[];
  whys: string[];
  /** The measured pairs; empty where nothing measures this edge, such as those from outside. */
  measured: MatrixEdge[];
  kind: 'declared' | 'published';
}

export interface Picture {
  boxes: Box[];
  edges: Edge[];
  tiers: Tier[];
}

export function picture(topology: Topology, matrix: Matrix | null): Picture {
  const boxes = boxesOf(topology.containers);
  const home = new Map(boxes.flatMap((box) => box.containers.map((one) => [one.name, box.id])));
  const cells = new Map((matrix?.edges ?? []).map((one) => [`${one.source}>${one.target}:${one.port}`, one]));
  const edges = new Map<string, Edge>();
  const edge = (source: string, target: string, kind: Edge['kind']): Edge => {
    const id = `${source}>${target}`;
    const found = edges.get(id) ?? { id, source, target, ports: [], whys: [], measured: [], kind };
    edges.set(id, found);
    return found;
  };
  for (const container of topology.containers) {
    const here = home.get(container.name) ?? container.name;
    for (const port of container.ports) add(edge(port.who, here, 'published').ports, port.port);
    for (const reach of container.reaches) {
      const there = home.get(reach.to);
      if (there === undefined || there === here) continue;
      const one = edge(here, there, 'declared');
      add(one.ports, reach.port);
      add(one.whys, reach.why);
      one.measured.push(cells.get(`${container.name}>${reach.to}:${reach.port}`) ?? unmeasured(container.name, reach));
    }
  }
  const world = [EVERYBODY, THIS_HOST].filter((who) => [...edges.values()].some((one) => one.source === who));
  const outside = world.map((who) => ({ id: who, title: who, tier: 'world', containers: [] }));
  const tiers = topology.tiers.map(({ name, title }) => ({
    name,
    title,
    boxes: boxes.filter((box) => box.tier === name).map((box) => box.id),
  }));
  const place = new Map(tiers.flatMap((tier) => tier.boxes).map((id, index) => [id, index]));
  return {
    boxes: [...outside, ...[...boxes].sort((a, b) => (place.get(a.id) ?? 0) - (place.get(b.id) ?? 0))],
    edges: [...edges.values()],
    tiers: [{ name: 'world', title: 'World', boxes: world }, ...tiers],
  };
}

function add<T>(list: T[], value: T): void {
  if (!list.includes(value)) list.push(value);
}

function unmeasured(source: string, reach: { to: string; port: number }): MatrixEdge {
  const verdict = 'unmeasured';
  return { source, target: reach.to, port: reach.port, wanted: 'open', verdict, ms: null, when: null, got: '' };
}

function boxesOf(containers: readonly Container[]): Box[] {
  const counts = new Map<string, number>();
  for (const one of containers) if (one.rolling) counts.set(one.service, (counts.get(one.service) ?? 0) + 1);
  const crowds = new Map<string, Box>();
  return containers.flatMap((one) => {
    const count = one.rolling ? (counts.get(one.service) ?? 0) : 0;
    if (count < CROWD) return [{ id: one.name, title: one.short, tier: one.tier, containers: [one] }];
    const known = crowds.get(one.service);
    if (known !== undefined) {
      known.containers.push(one);
      return [];
    }
    const box = { id: `service ${one.service}`, title: `${count} × ${one.service}`, tier: one.tier, containers: [one] };
    crowds.set(one.service, box);
    return [box];
  });
}

// --- what the matrix says

export type EdgeState = 'reached' | 'broken' | 'unknown' | 'outside';

/** The worst of an edge's measured pairs. */
export function edgeState(edge: Edge): EdgeState {
  if (edge.kind === 'published') return 'outside';
  if (edge.measured.some((one) => one.verdict === 'broken' || one.verdict === 'leak')) return 'broken';
  return edge.measured.length > 0 && edge.measured.every((one) => one.verdict === 'reached') ? 'reached' : 'unknown';
}

/** The slowest of an edge's connections in ms; null where none was made. */
export function edgeTime(edge: Edge): number | null {
  const times = edge.measured.flatMap((one) => (one.ms === null ? [] : [one.ms]));
  return times.length === 0 ? null : Math.max(...times);
}

export function milliseconds(value: number): string {
  return `${milliFigure(value)} ms`;
}

/** Within one host a connection takes some hundredths of a millisecond. */
export function milliFigure(value: number): string {
  if (value < 0.1) return value < 0.005 ? '<0.01' : value.toFixed(2);
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}

export interface Freshness {
  /** Whether it still says something about now. */
  fresh: boolean;
  sentence: string;
}

/**
 * How much the matrix says about now.
 *
 * @param releaseMade when the release that runs was made; a matrix from before it measured other containers
 */
export function freshness(matrix: Matrix | null, releaseMade: number | null, now: number): Freshness {
  if (matrix === null) return { fresh: false, sentence: 'No connection was measured yet: ./sse verify does that.' };
  const at = Date.parse(matrix.time);
  const age = `The connections were measured ${ago(now - at)}`;
  const again =
    'They may have changed since: ./sse verify measures them again, and verify_schedule: hourly has the host do it.';
  if (releaseMade !== null && at < releaseMade)
    return { fresh: false, sentence: `${age}, before the release that runs now. ${again}` };
  if (now - at > MATRIX_HOURS * 3_600_000)
    return { fresh: false, sentence: `${age}, which is more than ${MATRIX_HOURS} h. ${again}` };
  return { fresh: true, sentence: `${age}.` };
}

// --- how containers are

/** What is known of now: null where a source does not answer. */
export interface Now {
  targets: readonly Pick<Target, 'instance' | 'health' | 'error'>[] | null;
  replicas: readonly Pick<ReplicaHealth, 'name' | 'state' | 'words' | 'checks'>[] | null;
  /** What this page itself has an answer from: the short name of a container, and a sentence about it. */
  answering: ReadonlyMap<string, string>;
  /** What this page gets no answer from, in the same way. */
  silent: ReadonlyMap<string, string>;
  matrix: Matrix | null;
  fresh: boolean;
}

export type BoxState = 'up' | 'down' | 'reached' | 'unknown';

export interface Told {
  state: BoxState;
  /** One or two words for the box. */
  word: string;
  /** A full sentence, with its source. */
  sentence: string;
}

/**
 * How a container is: the worst of what it says itself, what this page and the replicas have of it, and Prometheus. Where
 * none of them knows, the last matrix tells that it was reached.
 */
export function told(container: Container, now: Now): Told {
  const names = new Set([container.name, container.short, ...container.aliases]);
  const live = [
    ...(now.replicas ?? []).filter((one) => names.has(one.name)).map(byItself),
    ...byReplicas(names, now.replicas ?? []),
    ...[...now.answering].filter(([name]) => names.has(name)).map(([, sentence]) => up('answers', sentence)),
    ...[...now.silent].filter(([name]) => names.has(name)).map(([, sentence]) => down(sentence)),
    ...(now.targets ?? []).filter((one) => names.has(hostOf(one.instance))).map(byTarget),
  ];
  const known = live.filter((one) => one.state !== 'unknown');
  return known.find((one) => one.state === 'down') ?? known[0] ?? byMatrix(container, now);
}

function up(word: string, sentence: string): Told {
  return { state: 'up', word, sentence };
}

function down(sentence: string): Told {
  return { state: 'down', word: 'down', sentence };
}

function byItself(one: Pick<ReplicaHealth, 'state' | 'words'>): Told {
  const sentence = `Asked directly, it ${one.words}.`;
  if (one.state === 'good') return up('ready', sentence);
  if (one.state === 'unknown') return { state: 'unknown', word: 'not known', sentence };
  const silent = one.words === 'does not answer';
  return { state: 'down', word: one.state === 'warning' ? 'stopping' : silent ? 'down' : 'not ready', sentence };
}

function byTarget(one: Pick<Target, 'health' | 'error'>): Told {
  if (one.health === 'up') return up('up', 'Prometheus gets its figures.');
  if (one.health === 'unknown')
    return { state: 'unknown', word: 'not known', sentence: 'Prometheus has not asked it yet.' };
  return down(`Prometheus does not get its figures: ${one.error || 'no answer'}.`);
}

/** What the replicas say in their own health checks of something that they use. */
function byReplicas(names: ReadonlySet<string>, replicas: readonly Pick<ReplicaHealth, 'name' | 'checks'>[]): Told[] {
  const said = replicas.flatMap((one) =>
    Object.entries(one.checks).flatMap(([check, words]) => (names.has(check) ? [{ who: one.name, words }] : [])),
  );
  if (said.length === 0) return [];
  const without = said.filter((one) => !['ok', 'catching up'].includes(one.words)).map((one) => one.who);
  if (without.length === 0) return [up('answers', 'It answers every replica.')];
  const word = without.length === said.length ? 'down' : 'in trouble';
  return [{ state: 'down', word, sentence: `It does not answer ${listed(without)}, as they say themselves.` }];
}

function byMatrix(container: Container, { targets, matrix, fresh }: Now): Told {
  const reason = targets === null ? 'Prometheus does not answer' : 'Prometheus does not ask it';
  const reached = matrix?.edges.filter((one) => one.target === container.name && one.verdict === 'reached') ?? [];
  if (fresh && reached.length > 0) {
    const by = reached.length === 1 ? (reached[0]?.source ?? '') : `${reached.length} connections`;
    const sentence = `${reason}. ${by} reached it when the connections were measured.`;
    return { state: 'reached', word: 'reached', sentence };
  }
  const sentence = `${reason}, and nothing has reached it lately: ./sse status asks the engine.`;
  return { state: 'unknown', word: 'not known', sentence };
}

const WORST: BoxState[] = ['down', 'unknown', 'reached', 'up'];

/** The worst of all containers of a box; null for the world, whose state nobody knows. */
export function boxState(box: Box, now: Now): { state: BoxState; word: string } | null {
  const all = box.containers.map((one) => told(one, now));
  const [first] = all;
  if (first === undefined) return null;
  const state = WORST.find((one) => all.some((other) => other.state === one)) ?? 'unknown';
  if (all.length === 1) return { state, word: first.word };
  return { state, word: `${all.filter((one) => one.state === 'up').length} of ${all.length} up` };
}

/** Whether nothing of a box answers now. The world never answers, and is always there. */
function silent(box: Box | undefined, now: Now): boolean {
  return (
    box !== undefined && box.containers.length > 0 && box.containers.every((one) => told(one, now).word === 'down')
  );
}

/** Whether a measurement of an edge still says how it is now: not where one of its ends has stopped to answer since. */
export function measuredNow(edge: Edge, picture: Picture, now: Now): boolean {
  const end = (id: string): Box | undefined => picture.boxes.find((one) => one.id === id);
  return now.fresh && !silent(end(edge.source), now) && !silent(end(edge.target), now);
}

/** How an edge is now, as far as it is known. */
export function edgeNow(edge: Edge, picture: Picture, now: Now): EdgeState {
  const state = edgeState(edge);
  if (state === 'outside') return state;
  if (state === 'broken' && now.fresh) return state;
  return measuredNow(edge, picture, now) ? state : 'unknown';
}

/** A command for the stack that is shown. */
export function command(words: string, stack: string): string {
  return stack === 'sse' ? words : `${words} -e stack_name=${stack}`;
}

// --- the matrix as a table

export const MARKS: Record<Verdict, string> = {
  reached: '●',
  refused: '·',
  open: '○',
  broken: '✗',
  leak: '!',
  unmeasured: '?',
};

export interface Grid {
  sources: string[];
  columns: { target: string; port: number }[];
  cell(source: string, target: string, port: number): MatrixEdge | undefined;
}

/** @param order the names of containers in the order of the picture; others come last */
export function grid(matrix: Matrix, order: readonly string[] = []): Grid {
  const known = new Map(order.map((name, index) => [name, index]));
  const sources = [...new Set(matrix.edges.map((one) => one.source))].sort(
    (a, b) => (known.get(a) ?? 1e9) - (known.get(b) ?? 1e9),
  );
  const keys = [...new Set(matrix.edges.map((one) => `${one.target}:${one.port}`))];
  const place = new Map(sources.map((name, index) => [name, index]));
  const columns = keys
    .map((key) => ({ target: key.slice(0, key.lastIndexOf(':')), port: Number(key.slice(key.lastIndexOf(':') + 1)) }))
    .sort((a, b) => (place.get(a.target) ?? 1e9) - (place.get(b.target) ?? 1e9) || a.port - b.port);
  const cells = new Map(matrix.edges.map((one) => [`${one.source}>${one.target}:${one.port}`, one]));
  return { sources, columns, cell: (source, target, port) => cells.get(`${source}>${target}:${port}`) };
}

/** What the page knows of each box and each edge of the topology, and from where. What is not known stays unknown. */
import type { Container, Matrix, MatrixEdge, Topology, Verdict } from './files';
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
  return {
    boxes: [...outside, ...boxes],
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
  if (value < 0.1) return '<0.1 ms';
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
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
  const again = 'They may have changed since: ./sse verify measures them again.';
  if (releaseMade !== null && at < releaseMade)
    return { fresh: false, sentence: `${age}, before the release that runs now. ${again}` };
  if (now - at > MATRIX_HOURS * 3_600_000)
    return { fresh: false, sentence: `${age}, which is more than ${MATRIX_HOURS} h. ${again}` };
  return { fresh: true, sentence: `${age}.` };
}

export function ago(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return 'less than a minute ago';
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} days ago`;
}

// --- what Prometheus says

export interface Target {
  /** The name and port that it is scraped at, such as `app-1:8000`. */
  instance: string;
  up: boolean;
  error: string;
}

export type BoxState = 'up' | 'down' | 'reached' | 'unknown';

export interface Told {
  state: BoxState;
  sentence: string;
}

/**
 * How a container is: by its own target in Prometheus or, where it has none, by the last matrix.
 *
 * @param targets null where Prometheus does not answer
 */
export function told(
  container: Container,
  targets: readonly Target[] | null,
  matrix: Matrix | null,
  fresh: boolean,
): Told {
  const names = new Set([container.name, container.short, ...container.aliases]);
  const own = targets?.filter((one) => names.has(one.instance.replace(/:\d+$/, ''))) ?? [];
  const down = own.find((one) => !one.up);
  if (down) return { state: 'down', sentence: `Prometheus does not get its figures: ${down.error || 'no answer'}.` };
  if (own.length > 0) return { state: 'up', sentence: 'Prometheus gets its figures.' };
  const reasons = targets === null ? 'Prometheus does not answer' : 'Prometheus does not ask it';
  const ours = matrix?.edges.filter((one) => one.target === container.name && one.verdict === 'reached') ?? [];
  if (fresh && ours.length > 0) {
    const by = ours.length === 1 ? ours[0]?.source : `${ours.length} connections`;
    return { state: 'reached', sentence: `${reasons}. It was reached by ${by} when the connections were measured.` };
  }
  return {
    state: 'unknown',
    sentence: `${reasons}, and no fresh measurement reached it. ./sse status asks the engine.`,
  };
}

const WORST: BoxState[] = ['down', 'unknown', 'reached', 'up'];

/** The worst of all containers of a box; null for the world, whose state nobody knows. */
export function boxState(
  box: Box,
  targets: readonly Target[] | null,
  matrix: Matrix | null,
  fresh: boolean,
): { state: BoxState; up: number } | null {
  if (box.containers.length === 0) return null;
  const states = box.containers.map((one) => told(one, targets, matrix, fresh).state);
  const state = WORST.find((one) => states.includes(one)) ?? 'unknown';
  return { state, up: states.filter((one) => one === 'up').length };
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

export function grid(matrix: Matrix): Grid {
  const sources = [...new Set(matrix.edges.map((one) => one.source))];
  const keys = [...new Set(matrix.edges.map((one) => `${one.target}:${one.port}`))];
  const place = new Map(sources.map((name, index) => [name, index]));
  const columns = keys
    .map((key) => ({ target: key.slice(0, key.lastIndexOf(':')), port: Number(key.slice(key.lastIndexOf(':') + 1)) }))
    .sort((a, b) => (place.get(a.target) ?? 1e9) - (place.get(b.target) ?? 1e9) || a.port - b.port);
  const cells = new Map(matrix.edges.map((one) => [`${one.source}>${one.target}:${one.port}`, one]));
  return { sources, columns, cell: (source, target, port) => cells.get(`${source}>${target}:${port}`) };
}

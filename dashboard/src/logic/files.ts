/**
 * What runs on the host say of the stack: the JSON files that they write into the live directory. Their shapes are those
 * of plugins/module_utils/views/live.py and verify/matrix.py; a test of the platform compares examples/ with both.
 */

export interface Dated {
  /** When it was written: UTC, ISO 8601. */
  time: string;
}

export type Outcome = 'applied' | 'failed' | 'applying' | 'interrupted' | 'running' | 'not known';

export interface Change {
  container: string;
  kind: string;
  /** What differs, without values: `environment.NAME`, `image`, `missing`. */
  what: string[];
}

export interface Verification {
  time: string;
  verified: Record<string, number>;
  findings: { rule: string; subject: string; wrong: string }[];
}

export interface Release {
  number: number;
  projects: string[];
  who: string;
  when: string;
  commit: string;
  why: string;
  outcome: Outcome;
  changed: string;
  changes: Change[];
  /** What the last verification found while this release ran; null where none is known. */
  verification: Verification | null;
  /** The command that goes back to it; empty where there is no way back to it. */
  back: string;
}

export interface Run {
  asked: string;
  who: string;
  when: string;
  commit: string;
  why: string;
  before: number;
  after: number;
  seconds: number;
  outcome: Outcome;
  error: string;
  others: string[];
  changes: Change[];
}

export interface Releases extends Dated {
  stack: string;
  /** The number of the release that runs; 0 where none was applied. */
  current: number;
  releases: Release[];
  runs: Run[];
}

export type TierName = 'entry' | 'replicas' | 'data' | 'watchers';

export interface Port {
  address: string;
  port: number;
  inside: number;
  who: 'everybody' | 'this host';
}

export interface Reach {
  to: string;
  name: string;
  port: number;
  why: string;
}

export interface Container {
  name: string;
  short: string;
  aliases: string[];
  service: string;
  tier: TierName;
  rolling: boolean;
  image: string;
  image_id: string;
  memory: number;
  networks: { name: string; address: string }[];
  listens: number[];
  ports: Port[];
  health: {
    command: boolean;
    http: { port: number; path: string } | null;
    interval: number;
    timeout: number;
    retries: number;
  };
  reaches: Reach[];
  reaches_host: number[];
  ways_out?: string[]; // only of a container that uses somebody else's servers
  runs_on?: string[]; // the hosts, only in a cluster
  /** As the engine saw it when this was written; a run before this version did not say it. */
  checked?: Checked;
}

export interface Checked {
  /** Of the health check, or else of the container; '' where the engine did not say it. */
  state: string;
  /** The newest first. The engine keeps none of a container that it asks nothing. */
  log: { at: string; code: number; said: string }[];
}

export interface Topology extends Dated {
  stack: string;
  release: number;
  layout: string;
  allow_from: string[];
  tiers: { name: TierName; title: string }[];
  containers: Container[];
  networks: { name: string; segment: string; subnet: string; internal: boolean }[];
  unavailable: Record<string, string>;
  endpoints: { name?: string; url?: string; container?: string }[];
}

export type Verdict = 'reached' | 'refused' | 'open' | 'broken' | 'leak' | 'unmeasured';

export interface MatrixEdge {
  source: string;
  target: string;
  port: number;
  wanted: 'open' | 'closed' | 'either';
  verdict: Verdict;
  ms: number | null;
  when: string | null;
  got: string;
}

export interface Matrix extends Dated {
  enforced: boolean;
  counts: Partial<Record<Verdict, number>>;
  meanings: Record<Verdict, string>;
  edges: MatrixEdge[];
}

/** What each file holds, by its name. */
export interface Contents {
  releases: Releases;
  topology: Topology;
  matrix: Matrix;
}

export type FileName = keyof Contents;
const LISTS = { releases: ['releases', 'runs'], topology: ['tiers', 'containers', 'networks'], matrix: ['edges'] };

/** Says why something is not the file that it should be; empty where it is. */
export function misfit(name: FileName, content: unknown): string {
  if (typeof content !== 'object' || content === null) return `${name}.json holds no object`;
  const fields = content as Record<string, unknown>;
  if (typeof fields['time'] !== 'string' || Number.isNaN(Date.parse(fields['time'])))
    return `${name}.json does not say when it was written`;
  const missing = LISTS[name].find((key) => !Array.isArray(fields[key]));
  return missing === undefined ? '' : `${name}.json has no list "${missing}"`;
}

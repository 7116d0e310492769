import { bytes, counted, listed } from '../../logic/format';
import type { Container, Topology } from '../../logic/files';
import {
  type Box,
  command,
  type Edge,
  EVERYBODY,
  measuredNow,
  milliseconds,
  type Now,
  type Picture,
  told,
} from '../../logic/topology';
import { h } from '../../parts/dom';
import { copied } from '../../parts/copied';
import { GLYPHS } from './drawing';

/** Everything about the box that somebody chose. */
export class Panel {
  readonly root = h('aside', { class: 'card panel', 'aria-label': 'Details', 'aria-live': 'polite' });
  private drawn = '';

  constructor(private readonly close: () => void) {}

  draw(box: Box | null, topology: Topology, picture: Picture, now: Now): void {
    // What stays as it is keeps its place: somebody may be reading or copying it.
    const containers = box === null ? picture.boxes.flatMap((one) => one.containers) : box.containers;
    const states = containers.map((one) => told(one, now));
    const key = JSON.stringify([box?.id, topology.time, now.fresh, now.matrix?.time, states]);
    if (key === this.drawn) return;
    this.drawn = key;
    this.root.replaceChildren(
      ...(box === null ? hint(topology, picture, now) : this.details(box, topology, picture, now)),
    );
  }

  private details(box: Box, topology: Topology, picture: Picture, now: Now): Node[] {
    const close = h('button', { type: 'button', class: 'quiet', 'aria-label': `Close ${box.title}` }, '✕');
    close.addEventListener('click', () => this.close());
    const head = h('div', { class: 'head' }, h('h2', {}, box.title), close);
    const [first] = box.containers;
    if (first === undefined) return [head, ...world(box, topology, picture)];
    const states = box.containers.map((one) => {
      const { state, sentence } = told(one, now);
      const who = box.containers.length > 1 ? `${one.short}: ` : '';
      return h(
        'p',
        { class: 'told', 'data-state': state },
        h('b', { 'aria-hidden': 'true' }, GLYPHS[state]),
        ` ${who}${sentence}`,
      );
    });
    return [
      head,
      ...states,
      facts(first, topology),
      ...edges(
        'Reaches',
        picture.edges.filter((one) => one.source === box.id),
        (one) => one.target,
        picture,
        now,
      ),
      ...edges(
        'Reached by',
        picture.edges.filter((one) => one.target === box.id),
        (one) => one.source,
        picture,
        now,
      ),
      h('h3', {}, 'Logs and health'),
      ...box.containers.slice(0, 3).flatMap((one) => checks(one, topology, box.containers.length > 1)),
      ...box.containers.slice(0, 3).map((one) => copied(command(`./sse logs ${one.short}`, topology.stack))),
      copied(command('./sse status', topology.stack)),
    ];
  }
}

function hint(topology: Topology, picture: Picture, now: Now): Node[] {
  const all = picture.boxes.flatMap((box) => box.containers);
  const bad = all.map((one) => ({ name: one.short, ...told(one, now) })).filter((one) => one.state === 'down');
  const down = bad.filter((one) => one.word === 'down').map((one) => one.name);
  const troubled = bad.filter((one) => one.word !== 'down').map((one) => `${one.name} (${one.word})`);
  const dark = all.filter((one) => told(one, now).state === 'unknown').map((one) => one.short);
  const missing = Object.entries(topology.unavailable).map(([name, why]) => `${name} is not here: ${why}.`);
  const sentences = [
    `${all.length} containers on ${onNetworks(topology)}.`,
    down.length > 0 ? `Down: ${listed(down)}.` : '',
    troubled.length > 0 ? `In trouble: ${listed(troubled)}.` : '',
    dark.length > 0 ? `Not known: ${listed(dark)}.` : '',
    ...missing,
  ].filter((one) => one !== '');
  return [
    h('h2', {}, 'All parts'),
    ...sentences.map((one) => h('p', {}, one)),
    h(
      'p',
      { class: 'note' },
      'Choose a box to see its ports, whom it reaches and why, how it is asked for its health, and the command for its logs.',
    ),
    ...networks(topology),
  ];
}

function onNetworks({ networks }: Topology): string {
  return networks.length > 2 ? counted(networks.length, 'network') : listed(networks.map((one) => one.name));
}

function networks(topology: Topology): Node[] {
  const items = topology.networks.map((one) =>
    h('li', {}, h('b', {}, one.name), h('span', {}, `${one.subnet}${one.internal ? ', internal: no way out' : ''}`)),
  );
  return [
    h('h3', {}, topology.layout === 'segmented' ? 'Networks, one a segment' : 'Network'),
    h('ul', { class: 'pairs' }, ...items),
  ];
}

function world(box: Box, topology: Topology, picture: Picture): Node[] {
  const whom = box.id === EVERYBODY ? 'Whoever reaches an address of this host' : 'Programs on this host itself';
  const from = box.id === EVERYBODY && topology.allow_from.length > 0 ? ` from ${listed(topology.allow_from)}` : '';
  const items = picture.edges
    .filter((one) => one.source === box.id)
    .map((one) =>
      h('li', {}, h('b', {}, title(picture, one.target)), h('span', {}, `port ${listed(one.ports.map(String))}`)),
    );
  return [
    h('p', {}, `${whom}${from} can connect to these ports.`),
    h('ul', { class: 'pairs' }, ...items),
    h('p', { class: 'note' }, 'These connections are not measured from inside the stack. From outside this does it:'),
    copied(command('./sse scan', topology.stack)),
  ];
}

function facts(one: Container, topology: Topology): HTMLElement {
  const rows: [string, string][] = [
    ['Image', one.image + (one.image_id === '' ? '' : ` (${one.image_id})`)],
    ['Memory', `at most ${bytes(one.memory)}`],
    ['Networks', one.networks.map(({ name, address }) => `${name} ${address}`.trim()).join(', ')],
    ['Listens on', one.listens.join(', ') || 'no port'],
    [
      'Published',
      one.ports.map((port) => `${port.address}:${port.port} → ${port.inside}, for ${port.who}`).join('; ') || 'no port',
    ],
    ['Health check', health(one)],
  ];
  if (one.runs_on !== undefined) rows.unshift(['Runs on', one.runs_on.join(', ') || 'no host']);
  if (one.reaches_host.length > 0) rows.push(['On the host', `port ${one.reaches_host.join(', ')}`]);
  if (one.ways_out !== undefined) rows.push(['Outside of the stack', one.ways_out.join(', ')]);
  const nodes: Node[] = rows.flatMap(([term, text]) => [h('dt', {}, term), h('dd', {}, text)]);
  const url = topology.endpoints.find((each) => each.container === one.short && /^https?:/.test(each.url ?? ''))?.url;
  if (url !== undefined)
    nodes.push(
      h('dt', {}, 'Address'),
      h('dd', {}, h('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, url)),
    );
  return h('dl', { class: 'particulars' }, ...nodes);
}

function health(one: Container): string {
  const { command, http, interval, timeout, retries } = one.health;
  const how = [
    command ? `a command inside it, every ${interval} s` : '',
    http === null ? '' : `GET :${http.port}${http.path}`,
  ].filter((each) => each !== '');
  return `${how.join(', and ')}; ${timeout} s each, unhealthy after ${retries}`;
}

/** What the last health checks said, as the engine had it when a run wrote the file. */
function checks(one: Container, topology: Topology, named: boolean): Node[] {
  const { state, log } = one.checked ?? { state: '', log: [] };
  if (state === '') return [];
  const who = named ? `${one.short}: ` : '';
  const items = log.map(({ at, code, said }) =>
    h(
      'li',
      {},
      h('b', {}, `${at.slice(11, 19)} UTC`),
      h('span', {}, said === '' ? 'nothing to say' : said),
      h('i', { 'data-state': code === 0 ? 'reached' : 'broken' }, code === 0 ? 'passed' : `failed (${code})`),
    ),
  );
  const looked = `when a run looked at ${topology.time.slice(11, 19)} UTC`;
  const asked = log.length === 0 ? 'The engine keeps no health checks of it' : 'Its last health checks';
  // It asks for the first time after its interval: a run that ends before that has asked by itself.
  const early = state === 'starting' && log.length === 0;
  return [
    h(
      'p',
      { class: 'note' },
      early ? `${who}The engine had not asked it yet ${looked}.` : `${who}${state} ${looked}. ${asked}.`,
    ),
    ...(items.length === 0 ? [] : [h('ul', { class: 'reaches checks' }, ...items)]),
  ];
}

function edges(heading: string, all: Edge[], other: (one: Edge) => string, picture: Picture, now: Now): Node[] {
  if (all.length === 0) return [];
  const items = all.map((one) => {
    const who = `${title(picture, other(one))}:${one.ports.join(', ')}`;
    const why = one.kind === 'published' ? 'a published port' : one.whys.join('; ');
    const found = verdict(one, picture, now);
    return h(
      'li',
      {},
      h('b', {}, heading === 'Reaches' ? who : title(picture, other(one))),
      h('span', {}, why),
      h('i', { 'data-state': found.state }, found.text),
    );
  });
  return [h('h3', {}, heading), h('ul', { class: 'reaches' }, ...items)];
}

function verdict(edge: Edge, picture: Picture, now: Now): { state: string; text: string } {
  if (edge.kind === 'published') return { state: 'unknown', text: 'not measured from inside' };
  const broken = edge.measured.filter((one) => one.verdict === 'broken' || one.verdict === 'leak');
  const was = now.fresh ? '' : 'was ';
  if (broken.length > 0) {
    const got = broken.map((one) => one.got).find((one) => one !== '');
    const many = edge.measured.length > 1 ? ` (${broken.length} of ${edge.measured.length})` : '';
    return {
      state: now.fresh ? 'broken' : 'unknown',
      text: `${was}closed${many}${got === undefined ? '' : `: ${got}`}`,
    };
  }
  const times = edge.measured.flatMap((one) => (one.verdict === 'reached' && one.ms !== null ? [one.ms] : []));
  if (times.length < edge.measured.length || times.length === 0) return { state: 'unknown', text: 'not measured' };
  const known = measuredNow(edge, picture, now);
  return {
    state: known ? 'reached' : 'unknown',
    text: `${known ? '' : 'was '}open, ${milliseconds(Math.max(...times))}`,
  };
}

function title(picture: Picture, id: string): string {
  return picture.boxes.find((box) => box.id === id)?.title ?? id;
}

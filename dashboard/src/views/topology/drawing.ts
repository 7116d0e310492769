import { calm, h, svg, write } from '../../parts/dom';
import type { Flow } from '../../logic/flows';
import { type Box as Placed, path, plan, type Plan, type Route, type Sizes } from '../../logic/routing';
import {
  boxState,
  type Edge,
  edgeNow,
  edgeTime,
  milliseconds,
  type Now,
  type Picture,
  THIS_HOST,
} from '../../logic/topology';
import { Dots } from './dots';

const WIDE = {
  boxHeight: 62,
  narrowest: 118,
  widest: 190,
  gap: 34,
  margin: 36,
  gutter: 92,
  lane: 8,
  pad: 16,
  title: 0,
};
const NARROW = {
  boxHeight: 66,
  narrowest: 82,
  widest: 160,
  gap: 14,
  margin: 11,
  gutter: 0,
  lane: 6,
  pad: 13,
  title: 26,
};
const PHONE = 640;
/** A label needs so much room beside its edge. */
const LABEL = 46;
export const GLYPHS = { up: '●', down: '✗', reached: '◐', unknown: '?' };

/** Tiers, boxes and edges. Boxes are buttons, so that the keyboard reaches them; edges and tiers are an SVG behind them. */
export class Drawing {
  readonly root = h('div', { class: 'map' });
  private readonly edges = svg('svg', { 'aria-hidden': 'true' });
  private readonly boxes = h('div', { class: 'boxes' });
  private readonly dots = new Dots();
  private picture: Picture | null = null;
  private now: Now | null = null;
  private chosen = '';
  private found: ReadonlySet<string> | null = null;
  private drawnFor = '';
  private shown = false;
  private paths = new Map<string, SVGElement>();

  constructor(private readonly choose: (id: string) => void) {
    this.root.append(this.edges, this.boxes);
    new ResizeObserver(() => this.arrange()).observe(this.root);
    calm.addEventListener('change', () => this.move());
  }

  draw(picture: Picture, now: Now): void {
    this.picture = picture;
    this.now = now;
    this.arrange();
    this.fill();
  }

  select(id: string): void {
    this.chosen = id;
    this.mark();
  }

  /** Shows which boxes fit a search; null where nobody searches. */
  filter(found: ReadonlySet<string> | null): void {
    this.found = found;
    this.mark();
  }

  flow(flows: readonly Flow[], eventsPerDot: number): void {
    this.dots.set(flows, eventsPerDot);
  }

  show(): void {
    this.shown = true;
    this.move();
  }

  hide(): void {
    this.shown = false;
    this.move();
  }

  /** Dots move while somebody sees them, and not where less motion is asked for. */
  private move(): void {
    if (this.shown && !calm.matches) this.dots.start();
    else this.dots.stop();
  }

  focus(id: string): void {
    this.button(id)?.focus();
  }

  /** Places everything anew where the width or what there is has changed. */
  private arrange(): void {
    const width = Math.floor(this.root.clientWidth);
    if (this.picture === null || width < 200) return;
    const { tiers, edges } = this.picture;
    const key = JSON.stringify([width, tiers, edges.map((one) => one.id)]);
    if (key === this.drawnFor) return;
    this.drawnFor = key;
    const sizes: Sizes = { ...(width < PHONE ? NARROW : WIDE), width };
    const made = plan(tiers, edges, sizes);
    this.root.style.setProperty('height', `${made.height}px`);
    this.edges.setAttribute('viewBox', `0 0 ${made.width} ${made.height}`);
    this.drawTiers(made, sizes);
    this.drawBoxes(made);
    this.fill();
    this.mark();
  }

  private drawTiers(made: Plan, sizes: Sizes): void {
    const [bands, titles]: [SVGElement[], SVGElement[]] = [[], []];
    for (const one of made.frames) {
      const [top, tall] = [one.y - 10, one.height + 20];
      const band = svg('rect', { class: 'band', x: 0.5, y: top, width: made.width - 1, height: tall, rx: 14 });
      const title = svg('text', {
        class: 'tier',
        x: sizes.gutter > 0 ? 14 : 2,
        y: sizes.gutter > 0 ? one.y + 22 : top - 5,
      });
      title.textContent = one.title;
      bands.push(band);
      titles.push(title);
    }
    const layers = svg('g', {});
    this.paths = new Map();
    // Those that say most lie on top.
    const order = [...made.routes].sort((a, b) => this.weight(a) - this.weight(b));
    for (const route of order) layers.append(this.drawRoute(route));
    this.edges.replaceChildren(...bands, layers, ...titles, this.dots.layer);
    this.dots.along(new Map([...this.paths].map(([id, group]) => [id, group.firstElementChild as SVGPathElement])));
  }

  private weight(route: Route): number {
    const edge = this.edge(route.id);
    return edge?.kind === 'published' && route.source === THIS_HOST ? 0 : this.onTheWay(route) ? 2 : 1;
  }

  /** Whether events pass along this edge on their way. */
  private onTheWay(route: { source: string; target: string }): boolean {
    const tiers = ['world', 'entry', 'replicas', 'data'];
    const of = (id: string): string => this.picture?.boxes.find((one) => one.id === id)?.tier ?? '';
    return route.source !== THIS_HOST && tiers.includes(of(route.source)) && tiers.includes(of(route.target));
  }

  private drawRoute(route: Route): SVGElement {
    const end = route.points.at(-1) ?? { x: 0, y: 0 };
    const before = route.points.at(-2) ?? end;
    const down = end.y > before.y ? 1 : -1;
    const label = svg('text', { class: 'ms', x: end.x + 5, y: end.y - down * 9 + (down < 0 ? 4 : 0) });
    const tip = svg('path', { class: 'tip', d: `M${end.x} ${end.y}l-3.6 ${-down * 7.5}h7.2z` });
    const line = svg('path', { class: 'line', d: path(route.points) });
    const group = svg('g', { class: 'edge', 'data-way': String(this.onTheWay(route)) }, line, tip, label);
    group.dataset['room'] = route.room >= LABEL ? 'enough' : 'little';
    this.paths.set(route.id, group);
    return group;
  }

  private drawBoxes(made: Plan): void {
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset['box'] : undefined;
    this.boxes.replaceChildren(...made.boxes.map((one) => this.drawBox(one)));
    if (focused !== undefined) this.focus(focused);
  }

  private drawBox(placed: Placed): HTMLElement {
    const box = this.picture?.boxes.find((one) => one.id === placed.id);
    const name = h('span', { class: 'title' }, box?.title ?? placed.id);
    const button = h(
      'button',
      { type: 'button', class: 'box', 'data-box': placed.id },
      name,
      h('span', { class: 'how' }),
    );
    for (const [side, value] of [
      ['left', placed.x],
      ['top', placed.y],
      ['width', placed.width],
      ['height', placed.height],
    ] as const)
      button.style.setProperty(side, `${value}px`);
    button.addEventListener('click', () => this.choose(placed.id));
    button.addEventListener('pointerenter', () => this.mark(placed.id));
    button.addEventListener('pointerleave', () => this.mark());
    return button;
  }

  /** Writes states and times, which change more often than places. */
  private fill(): void {
    const { picture, now } = this;
    if (picture === null || now === null) return;
    for (const box of picture.boxes) {
      const button = this.button(box.id);
      const how = button?.querySelector('.how');
      if (!button || !how) continue;
      const state = boxState(box, now);
      button.dataset['state'] = state?.state ?? 'world';
      write(how, state === null ? outside(picture, box.id) : `${GLYPHS[state.state]} ${state.word}`);
    }
    for (const edge of picture.edges) {
      const group = this.paths.get(edge.id);
      if (!group) continue;
      const state = edgeNow(edge, picture, now);
      group.dataset['state'] = state;
      const time = state === 'reached' ? edgeTime(edge) : null;
      const label = group.querySelector('.ms');
      if (label) write(label, time === null ? (state === 'broken' ? '✗' : '') : milliseconds(time));
    }
  }

  /** Brings out the chosen box, what it reaches and what reaches it. */
  private mark(pointed = ''): void {
    const id = pointed || this.chosen;
    const near = new Set([id]);
    for (const edge of this.picture?.edges ?? []) {
      const mine = edge.source === id || edge.target === id;
      if (mine) near.add(edge.source).add(edge.target);
      const group = this.paths.get(edge.id);
      if (group) group.dataset['near'] = String(mine);
    }
    this.root.dataset['marked'] = String(id !== '');
    for (const button of this.boxes.children) {
      if (!(button instanceof HTMLElement)) continue;
      const mine = button.dataset['box'] ?? '';
      button.dataset['near'] = String(near.has(mine));
      button.dataset['found'] = String(this.found === null || this.found.has(mine));
      button.setAttribute('aria-pressed', String(mine === this.chosen));
    }
  }

  private edge(id: string): Edge | undefined {
    return this.picture?.edges.find((one) => one.id === id);
  }

  private button(id: string): HTMLElement | undefined {
    const all = [...this.boxes.children].filter((one) => one instanceof HTMLElement);
    return all.find((one) => one.dataset['box'] === id);
  }
}

/** Which ports somebody outside reaches. */
function outside(picture: Picture, id: string): string {
  const ports = picture.edges.filter((one) => one.source === id).flatMap((one) => one.ports);
  return ports.length > 4 ? `${ports.length} ports` : ports.join(', ');
}

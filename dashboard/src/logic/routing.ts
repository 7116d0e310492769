/**
 * Places boxes on shelves, tier below tier, and routes edges around them. Pure: names and a width in, coordinates out.
 *
 * Between two shelves is a channel, and beside each box of a shelf a passage. An edge leaves its box at the top or at the
 * bottom, runs along channels and crosses the shelves on its way through passages, so it never touches another box.
 * Edges of one source are one net: they share their way as long as they can, and two nets never lie on each other.
 */

export interface Tier {
  name: string;
  title: string;
  boxes: string[];
}

export interface Link {
  id: string;
  source: string;
  target: string;
}

export interface Point {
  x: number;
  y: number;
}

export interface Box {
  id: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Frame {
  name: string;
  title: string;
  y: number;
  height: number;
}

export interface Route {
  id: string;
  source: string;
  target: string;
  points: Point[];
  /** How much room a label beside the last piece has. */
  room: number;
}

export interface Plan {
  width: number;
  height: number;
  frames: Frame[];
  boxes: Box[];
  routes: Route[];
}

export interface Sizes {
  width: number;
  boxHeight: number;
  /** A box is at least so wide, and at most so. */
  narrowest: number;
  widest: number;
  gap: number;
  /** Left and right of all boxes, where edges pass. */
  margin: number;
  /** Left of everything, for the titles of tiers. */
  gutter: number;
  lane: number;
  /** Between a shelf and the first or last lane of a channel. */
  pad: number;
  /** Above each tier, for its title, where there is no gutter. */
  title: number;
}

interface Shelf {
  tier: number;
  boxes: string[];
  left: number;
  boxWidth: number;
}

interface Piece {
  channel: number;
  from: number;
  to: number;
}

interface Way {
  link: Link;
  net: string;
  /** The shelves that are crossed, in order, each with the passage that is used. */
  crossed: { shelf: number; passage: number }[];
  channels: number[];
  down: boolean;
  out: Side;
  into: Side;
}

type Side = 'top' | 'bottom';
const CLOSEST = 5; // px between two vertical pieces of different nets
const NEAR = 14; // px that an edge does not bend for

export function plan(tiers: readonly Tier[], links: readonly Link[], sizes: Sizes): Plan {
  const shelves = fill(tiers, links, sizes);
  const at = new Map<string, { shelf: number; index: number }>();
  shelves.forEach((shelf, number) => shelf.boxes.forEach((id, index) => at.set(id, { shelf: number, index })));
  const known = links.filter((one) => at.has(one.source) && at.has(one.target) && one.source !== one.target);
  const place = new Places(shelves, sizes);
  const ways = known.map((link) => way(link, at, place));
  return new Router(tiers, shelves, place, ways, at, sizes).plan();
}

/** Fills shelves with the boxes of each tier, as many on one as have room, and boxes that are connected close together. */
function fill(tiers: readonly Tier[], links: readonly Link[], sizes: Sizes): Shelf[] {
  const room = sizes.width - sizes.gutter - 2 * sizes.margin;
  const capacity = Math.max(1, Math.floor((room + sizes.gap) / (sizes.narrowest + sizes.gap)));
  const shelves: Shelf[] = [];
  const rank = new Map<string, number>();
  tiers.forEach((tier, number) => {
    const count = Math.ceil(tier.boxes.length / capacity);
    const ordered = inOrder(tier.boxes, links, rank);
    for (let part = 0; part < count; part++) {
      const from = Math.round((part * ordered.length) / count);
      const boxes = ordered.slice(from, Math.round(((part + 1) * ordered.length) / count));
      const free = (room - (boxes.length - 1) * sizes.gap) / boxes.length;
      const boxWidth = Math.floor(Math.min(sizes.widest, Math.max(Math.min(sizes.narrowest, free), free)));
      const taken = boxes.length * boxWidth + (boxes.length - 1) * sizes.gap;
      const left = sizes.gutter + Math.round((sizes.width - sizes.gutter - taken) / 2);
      boxes.forEach((id, index) => rank.set(id, left + index * (boxWidth + sizes.gap) + boxWidth / 2));
      shelves.push({ tier: number, boxes, left, boxWidth });
    }
  });
  return shelves;
}

/** Sorts the boxes of a tier by where the boxes of the tiers above it are that they are connected to. */
function inOrder(boxes: readonly string[], links: readonly Link[], rank: ReadonlyMap<string, number>): string[] {
  const weight = new Map<string, number>();
  boxes.forEach((id) => {
    const others = links.flatMap((one) => (one.source === id ? [one.target] : one.target === id ? [one.source] : []));
    const places = others.flatMap((other) => rank.get(other) ?? []);
    if (places.length > 0) weight.set(id, places.reduce((sum, one) => sum + one, 0) / places.length);
  });
  const known = boxes.filter((id) => weight.has(id));
  const sorted = [...known].sort((a, b) => (weight.get(a) ?? 0) - (weight.get(b) ?? 0));
  const different = new Set(weight.values()).size > 1;
  return different ? [...sorted, ...boxes.filter((id) => !weight.has(id))] : [...boxes];
}

/** Where boxes and passages are from left to right. */
class Places {
  constructor(
    readonly shelves: readonly Shelf[],
    readonly sizes: Sizes,
  ) {}

  left(shelf: number, index: number): number {
    const { left, boxWidth } = this.shelf(shelf);
    return left + index * (boxWidth + this.sizes.gap);
  }

  middle(shelf: number, index: number): number {
    return this.left(shelf, index) + this.shelf(shelf).boxWidth / 2;
  }

  /** The free space of a passage: the first one is left of all boxes, and the last one right of them. */
  passage(shelf: number, index: number): [from: number, to: number] {
    const { boxes, boxWidth } = this.shelf(shelf);
    const from =
      index === 0
        ? Math.max(this.sizes.gutter, this.left(shelf, 0) - this.sizes.margin)
        : this.left(shelf, index - 1) + boxWidth;
    const last = this.left(shelf, boxes.length - 1) + boxWidth;
    const to = index === boxes.length ? Math.min(this.sizes.width, last + this.sizes.margin) : this.left(shelf, index);
    return [from, to];
  }

  passages(shelf: number): number[] {
    return Array.from({ length: this.shelf(shelf).boxes.length + 1 }, (_, index) => {
      const [from, to] = this.passage(shelf, index);
      return (from + to) / 2;
    });
  }

  private shelf(number: number): Shelf {
    const found = this.shelves[number];
    if (found === undefined) throw new Error(`there is no shelf ${number}`);
    return found;
  }
}

/** Chooses the passages of an edge, so that it runs as little to the side as possible. */
function way(link: Link, at: ReadonlyMap<string, { shelf: number; index: number }>, place: Places): Way {
  const source = at.get(link.source);
  const target = at.get(link.target);
  if (source === undefined || target === undefined) throw new Error(`${link.id} leads nowhere`);
  const down = target.shelf > source.shelf;
  const out: Side = target.shelf < source.shelf ? 'top' : 'bottom';
  const into: Side = target.shelf > source.shelf ? 'top' : 'bottom';
  const step = down ? 1 : -1;
  const between: number[] = [];
  if (target.shelf !== source.shelf)
    for (let shelf = source.shelf + step; shelf !== target.shelf; shelf += step) between.push(shelf);
  const first = out === 'bottom' ? source.shelf + 1 : source.shelf;
  const channels = [first, ...between.map((shelf) => (down ? shelf + 1 : shelf))];
  const goal = place.middle(target.shelf, target.index);
  let best = [{ x: place.middle(source.shelf, source.index), cost: 0, passages: [] as number[] }];
  for (const shelf of between)
    best = place.passages(shelf).map((x, passage) => {
      const before = least(best, (one) => one.cost + Math.abs(one.x - x));
      return { x, cost: before.cost + Math.abs(before.x - x), passages: [...before.passages, passage] };
    });
  const chosen = least(best, (one) => one.cost + Math.abs(one.x - goal));
  const crossed = between.map((shelf, index) => ({ shelf, passage: chosen.passages[index] ?? 0 }));
  return { link, net: link.source, crossed, channels, down, out, into };
}

function least<T>(items: readonly T[], cost: (one: T) => number): T {
  const [first, ...others] = items;
  if (first === undefined) throw new Error('nothing to choose from');
  return others.reduce((best, one) => (cost(one) < cost(best) ? one : best), first);
}

/** Gives each edge its coordinates: where it leaves and arrives, where it passes, and its lane in each channel. */
class Router {
  private readonly ports = new Map<string, number>();
  private readonly portRoom = new Map<string, number>();
  private readonly passing = new Map<string, number>();
  private readonly lanes: Map<string, number>[];
  private readonly laneCounts: number[];
  private readonly tops: number[] = [];
  private readonly channelTops: number[] = [];

  constructor(
    private readonly tiers: readonly Tier[],
    private readonly shelves: readonly Shelf[],
    private readonly place: Places,
    private readonly ways: readonly Way[],
    private readonly at: ReadonlyMap<string, { shelf: number; index: number }>,
    private readonly sizes: Sizes,
  ) {
    this.lanes = Array.from({ length: shelves.length + 1 }, () => new Map<string, number>());
    this.laneCounts = Array.from({ length: shelves.length + 1 }, () => 0);
  }

  plan(): Plan {
    this.spreadPassages();
    this.straighten();
    this.spreadPorts();
    this.keepApart();
    for (let channel = 0; channel <= this.shelves.length; channel++) this.assignLanes(channel);
    const height = this.stack();
    return {
      width: this.sizes.width,
      height,
      frames: this.frames(),
      boxes: this.boxes(),
      routes: this.ways.map((one) => this.route(one)),
    };
  }

  /** Nets that pass between the same two boxes do so side by side. */
  private spreadPassages(): void {
    const nets = new Map<string, { shelf: number; passage: number; nets: Set<string> }>();
    for (const one of this.ways)
      for (const { shelf, passage } of one.crossed) {
        const key = `${shelf}/${passage}`;
        const there = nets.get(key) ?? { shelf, passage, nets: new Set<string>() };
        nets.set(key, there);
        there.nets.add(one.net);
      }
    for (const { shelf, passage, nets: passing } of nets.values()) {
      const [from, to] = this.place.passage(shelf, passage);
      const sorted = [...passing].sort((a, b) => this.middleOf(a) - this.middleOf(b));
      const apart = Math.min(9, (to - from) / (sorted.length + 1));
      const middle = (from + to) / 2;
      sorted.forEach((net, index) =>
        this.passing.set(`${shelf}/${passage}/${net}`, middle + (index - (sorted.length - 1) / 2) * apart),
      );
    }
  }

  /** A net that passes two shelves nearly below each other passes them exactly so. */
  private straighten(): void {
    for (const one of this.ways)
      one.crossed.slice(1).forEach((next, index) => {
        const before = one.crossed[index];
        if (before === undefined) return;
        const [x, was] = [this.passageX(one, before), this.passageX(one, next)];
        const [from, to] = this.place.passage(next.shelf, next.passage);
        const prefix = `${next.shelf}/${next.passage}/`;
        const others = [...this.passing].filter(([key]) => key.startsWith(prefix) && key !== prefix + one.net);
        const clear = others.every(([, other]) => Math.abs(other - x) >= CLOSEST);
        if (Math.abs(x - was) < NEAR && x > from + 2 && x < to - 2 && clear) this.passing.set(prefix + one.net, x);
      });
  }

  /** The ends at one side of a box stand in the order of where they come from. What leaves a box leaves it in one place. */
  private spreadPorts(): void {
    const sides = new Map<string, { box: string; ends: Map<string, number[]> }>();
    const add = (box: string, side: Side, end: string, towards: number) => {
      const key = `${box}/${side}`;
      const there = sides.get(key) ?? { box, ends: new Map<string, number[]>() };
      sides.set(key, there);
      there.ends.set(end, [...(there.ends.get(end) ?? []), towards]);
    };
    for (const one of this.ways) {
      const firstPassage = one.crossed[0];
      const lastPassage = one.crossed.at(-1);
      const first = firstPassage ? this.passageX(one, firstPassage) : this.middleOf(one.link.target);
      const last = lastPassage ? this.passageX(one, lastPassage) : this.middleOf(one.link.source);
      add(one.link.source, one.out, `${one.link.source}/${one.out}/out`, first);
      add(one.link.target, one.into, `${one.link.id}/in`, last);
    }
    for (const { box, ends } of sides.values()) {
      const [left, width] = this.span(box);
      const sorted = [...ends].sort((a, b) => mean(a[1]) - mean(b[1]));
      const room = width / (sorted.length + 1);
      sorted.forEach(([end], index) => {
        this.ports.set(end, left + room * (index + 1));
        this.portRoom.set(end, room);
      });
    }
  }

  /** Two nets whose vertical pieces would lie on each other in a channel move apart, within their boxes. */
  private keepApart(): void {
    const taken = Array.from({ length: this.shelves.length + 1 }, () => [] as { x: number; net: string }[]);
    for (const one of this.ways)
      for (const [index, channel] of one.channels.entries()) {
        const before = one.crossed[index - 1];
        const after = one.crossed[index];
        for (const passage of [before, after])
          if (passage !== undefined) taken[channel]?.push({ x: this.passageX(one, passage), net: one.net });
      }
    const settled = new Set<string>();
    for (const one of this.ways) {
      const [first, last] = [one.crossed[0], one.crossed.at(-1)];
      const ends = [
        { end: `${one.link.source}/${one.out}/out`, box: one.link.source, channel: one.channels[0], next: first },
        { end: `${one.link.id}/in`, box: one.link.target, channel: one.channels.at(-1), next: last },
      ];
      for (const { end, box, channel, next } of ends) {
        if (settled.has(end) || channel === undefined) continue;
        settled.add(end);
        const others = (taken[channel] ?? []).filter((other) => other.net !== one.net);
        const [even, beyond] = [this.ports.get(end) ?? 0, next === undefined ? null : this.passageX(one, next)];
        const wanted = beyond !== null && Math.abs(beyond - even) < NEAR ? beyond : even;
        const x = free(wanted, this.span(box), others);
        this.ports.set(end, x);
        taken[channel]?.push({ x, net: one.net });
      }
    }
  }

  /** Gives each net a lane of its own in a channel, unless it is straight there. */
  private assignLanes(channel: number): void {
    const spans = new Map<string, [number, number]>();
    for (const one of this.ways)
      for (const piece of this.pieces(one)) {
        if (piece.channel !== channel) continue;
        const [from, to] = spans.get(one.net) ?? [Infinity, -Infinity];
        spans.set(one.net, [Math.min(from, piece.from, piece.to), Math.max(to, piece.from, piece.to)]);
      }
    const ends: number[] = [];
    for (const [net, [from, to]] of [...spans].sort((a, b) => a[1][0] - b[1][0] || a[1][1] - b[1][1])) {
      let lane = ends.findIndex((end) => end + CLOSEST < from);
      if (lane < 0) lane = ends.push(to) - 1;
      ends[lane] = to;
      this.lanes[channel]?.set(net, lane);
    }
    this.laneCounts[channel] = ends.length;
  }

  /** Puts channels and shelves below each other; returns the height of all. */
  private stack(): number {
    const { lane, pad, title, boxHeight } = this.sizes;
    let y = 0;
    this.shelves.forEach((shelf, number) => {
      if (number === 0 || this.shelves[number - 1]?.tier !== shelf.tier) y += title;
      this.channelTops.push(y);
      if (number > 0) y += this.channelHeight(number, pad, lane); // nothing leads above the first shelf
      this.tops.push(y);
      y += boxHeight;
    });
    this.channelTops.push(y);
    const below = this.laneCounts[this.shelves.length] ?? 0;
    return y + (below > 0 ? this.channelHeight(this.shelves.length, pad, lane) : 0) + 2;
  }

  private channelHeight(channel: number, pad: number, lane: number): number {
    const count = this.laneCounts[channel] ?? 0;
    return count === 0 ? pad : 2 * pad + (count - 1) * lane;
  }

  private frames(): Frame[] {
    return this.tiers.flatMap((tier, number) => {
      const mine = this.shelves.flatMap((shelf, index) => (shelf.tier === number ? [this.tops[index] ?? 0] : []));
      const [first] = mine;
      const last = mine.at(-1);
      if (first === undefined || last === undefined) return [];
      return [{ name: tier.name, title: tier.title, y: first, height: last - first + this.sizes.boxHeight }];
    });
  }

  private boxes(): Box[] {
    return this.shelves.flatMap((shelf, number) =>
      shelf.boxes.map((id, index) => ({
        id,
        x: this.place.left(number, index),
        y: this.tops[number] ?? 0,
        width: shelf.boxWidth,
        height: this.sizes.boxHeight,
      })),
    );
  }

  private route(one: Way): Route {
    const points: Point[] = [];
    const [start, end] = [this.endOf(one.link.source, one.out), this.endOf(one.link.target, one.into)];
    const pieces = this.pieces(one);
    points.push({ x: pieces[0]?.from ?? 0, y: start });
    for (const piece of pieces) {
      const lane = this.lanes[piece.channel]?.get(one.net) ?? 0;
      const y = (this.channelTops[piece.channel] ?? 0) + this.sizes.pad + lane * this.sizes.lane;
      points.push({ x: piece.from, y }, { x: piece.to, y });
    }
    points.push({ x: pieces.at(-1)?.to ?? 0, y: end });
    const room = this.portRoom.get(`${one.link.id}/in`) ?? 0;
    return { id: one.link.id, source: one.link.source, target: one.link.target, points: straightened(points), room };
  }

  private endOf(box: string, side: Side): number {
    const top = this.tops[this.at.get(box)?.shelf ?? 0] ?? 0;
    return side === 'top' ? top : top + this.sizes.boxHeight;
  }

  /** Where an edge runs in each channel, from left to right or back. */
  private pieces(one: Way): Piece[] {
    const stops = [
      this.ports.get(`${one.link.source}/${one.out}/out`) ?? 0,
      ...one.crossed.map((passage) => this.passageX(one, passage)),
      this.ports.get(`${one.link.id}/in`) ?? 0,
    ];
    return one.channels.map((channel, index) => ({ channel, from: stops[index] ?? 0, to: stops[index + 1] ?? 0 }));
  }

  private passageX(one: Way, { shelf, passage }: { shelf: number; passage: number }): number {
    return this.passing.get(`${shelf}/${passage}/${one.net}`) ?? 0;
  }

  private middleOf(box: string): number {
    const found = this.at.get(box);
    return found === undefined ? 0 : this.place.middle(found.shelf, found.index);
  }

  private span(box: string): [left: number, width: number] {
    const found = this.at.get(box);
    if (found === undefined) return [0, 0];
    return [this.place.left(found.shelf, found.index), this.shelves[found.shelf]?.boxWidth ?? 0];
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, one) => sum + one, 0) / values.length;
}

/** The place closest to the wanted one that is within a box and not on somebody else's line. */
function free(wanted: number, [left, width]: [number, number], others: readonly { x: number }[]): number {
  const clear = (x: number) =>
    x > left + 4 && x < left + width - 4 && others.every((one) => Math.abs(one.x - x) >= CLOSEST);
  for (let step = 0; step * CLOSEST < width; step++)
    for (const x of [wanted + step * CLOSEST, wanted - step * CLOSEST]) if (clear(x)) return x;
  return wanted;
}

/** Leaves out points on a straight line between their neighbours, and those that stand twice. */
function straightened(points: readonly Point[]): Point[] {
  const kept: Point[] = [];
  for (const point of points) {
    const last = kept.at(-1);
    if (last && last.x === point.x && last.y === point.y) continue;
    const before = kept.at(-2);
    if (last && before && ((before.x === last.x && last.x === point.x) || (before.y === last.y && last.y === point.y)))
      kept.pop();
    kept.push(point);
  }
  return kept;
}

/** An SVG path along these points, with round corners. */
export function path(points: readonly Point[], radius = 7): string {
  const [first, ...others] = points;
  if (first === undefined) return '';
  let text = `M${number(first.x)} ${number(first.y)}`;
  others.forEach((point, index) => {
    const before = points[index];
    const after = others[index + 1];
    if (before === undefined || after === undefined) {
      text += `L${number(point.x)} ${number(point.y)}`;
      return;
    }
    const r = Math.min(radius, distance(before, point) / 2, distance(point, after) / 2);
    const [from, to] = [towards(point, before, r), towards(point, after, r)];
    text += `L${number(from.x)} ${number(from.y)}Q${number(point.x)} ${number(point.y)} ${number(to.x)} ${number(to.y)}`;
  });
  return text;
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

function towards(from: Point, to: Point, length: number): Point {
  const whole = distance(from, to);
  return whole === 0
    ? from
    : { x: from.x + ((to.x - from.x) * length) / whole, y: from.y + ((to.y - from.y) * length) / whole };
}

function number(value: number): string {
  return String(Math.round(value * 10) / 10);
}

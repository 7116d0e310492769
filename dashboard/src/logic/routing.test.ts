import { describe, expect, it } from 'vitest';
import { type Box, type Link, path, plan, type Plan, type Point, type Sizes, type Tier } from './routing';

const DESKTOP: Sizes = {
  width: 1100,
  boxHeight: 60,
  narrowest: 120,
  widest: 200,
  gap: 36,
  margin: 44,
  gutter: 90,
  lane: 9,
  pad: 18,
  title: 0,
};
const PHONE: Sizes = { ...DESKTOP, width: 340, narrowest: 92, gap: 16, margin: 10, gutter: 0, title: 24 };

/** A generator of numbers that gives the same ones each time (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function anyStack(seed: number): { tiers: Tier[]; links: Link[] } {
  const random = numbers(seed);
  const tiers = ['world', 'entry', 'replicas', 'data', 'watchers'].map((name) => ({
    name,
    title: name,
    boxes: Array.from({ length: Math.floor(random() * 10) }, (_, index) => `${name}-${index}`),
  }));
  const all = tiers.flatMap((tier) => tier.boxes);
  const links: Link[] = [];
  for (const source of all)
    for (const target of all)
      if (source !== target && random() < 0.12) links.push({ id: `${source}>${target}`, source, target });
  return { tiers, links };
}

function pieces(points: readonly Point[]): [Point, Point][] {
  return points.slice(1).map((point, index) => [points[index] as Point, point]);
}

function through([a, b]: [Point, Point], box: Box): boolean {
  const [left, right] = [Math.min(a.x, b.x), Math.max(a.x, b.x)];
  const [top, bottom] = [Math.min(a.y, b.y), Math.max(a.y, b.y)];
  return right > box.x && left < box.x + box.width && bottom > box.y && top < box.y + box.height;
}

function touches(point: Point, box: Box): boolean {
  return point.x > box.x && point.x < box.x + box.width && [box.y, box.y + box.height].includes(point.y);
}

function apart(one: Box, other: Box): boolean {
  const beside = one.x + one.width <= other.x || other.x + other.width <= one.x;
  return beside || one.y + one.height <= other.y || other.y + other.height <= one.y;
}

/** Cheaper than expect, which takes its time where it is asked ten thousand times. */
function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not so: ${what}`);
}

const STACKS = Array.from({ length: 25 }, (_, seed) => ({ seed, ...anyStack(seed + 1) }));
const PLANS: { name: string; links: Link[]; made: Plan; sizes: Sizes }[] = STACKS.flatMap(({ seed, tiers, links }) =>
  [DESKTOP, PHONE].map((sizes) => ({ name: `${seed}/${sizes.width}`, links, made: plan(tiers, links, sizes), sizes })),
);

describe('of any stack, on a desktop and on a phone', () => {
  it('no edge runs through a box', () => {
    for (const { name, made } of PLANS)
      for (const route of made.routes)
        for (const piece of pieces(route.points))
          for (const box of made.boxes)
            if (through(piece, box)) throw new Error(`${name}: ${route.id} runs through ${box.id}`);
  });

  it('every edge leads from the border of its source to the border of its target, straight or at right angles', () => {
    for (const { name, links, made } of PLANS) {
      expect(made.routes.map((one) => one.id).sort(), name).toEqual(links.map((one) => one.id).sort());
      const boxes = new Map(made.boxes.map((one) => [one.id, one]));
      for (const route of made.routes) {
        const [first, last] = [route.points[0] as Point, route.points.at(-1) as Point];
        must(touches(first, boxes.get(route.source) as Box), `${name}: ${route.id} begins at its source`);
        must(touches(last, boxes.get(route.target) as Box), `${name}: ${route.id} ends at its target`);
        for (const [a, b] of pieces(route.points)) must(a.x === b.x || a.y === b.y, `${name}: ${route.id} is straight`);
      }
    }
  });

  it('everything is inside the picture, and no box lies on another', () => {
    for (const { name, made } of PLANS) {
      for (const [index, box] of made.boxes.entries()) {
        must(box.x >= 0 && box.x + box.width <= made.width, `${name}: ${box.id} is inside`);
        must(box.y >= 0 && box.y + box.height <= made.height, `${name}: ${box.id} is inside`);
        for (const other of made.boxes.slice(0, index))
          must(apart(box, other), `${name}: ${box.id}, ${other.id} apart`);
      }
      for (const { id, points } of made.routes)
        for (const { x, y } of points)
          must(x >= 0 && x <= made.width && y >= 0 && y <= made.height, `${name}: ${id} is inside`);
    }
  });

  it('horizontal pieces of two sources never lie on each other', () => {
    for (const { name, made } of PLANS) {
      const flat = made.routes.flatMap((one) =>
        pieces(one.points)
          .filter(([a, b]) => a.y === b.y)
          .map(([a, b]) => ({ net: one.source, y: a.y, from: Math.min(a.x, b.x), to: Math.max(a.x, b.x) })),
      );
      for (const one of flat)
        for (const other of flat)
          if (one.net !== other.net && one.y === other.y && one.from < other.to && other.from < one.to)
            throw new Error(`${name}: ${one.net} and ${other.net} share y ${one.y}`);
    }
  });
});

it('the same stack has the same picture each time', () => {
  const { tiers, links } = anyStack(7);
  expect(plan(tiers, links, DESKTOP)).toEqual(plan(tiers, links, DESKTOP));
});

it('tiers stand below each other, and a tier without boxes takes no room', () => {
  const tiers = [
    { name: 'a', title: 'A', boxes: ['one'] },
    { name: 'b', title: 'B', boxes: [] },
    { name: 'c', title: 'C', boxes: ['two', 'three'] },
  ];
  const made = plan(tiers, [{ id: 'e', source: 'one', target: 'three' }], DESKTOP);
  expect(made.frames.map((one) => one.name)).toEqual(['a', 'c']);
  expect((made.frames[1]?.y ?? 0) > (made.frames[0]?.y ?? 0)).toBe(true);
});

it('a link to a box that is not there is left out', () => {
  const tiers = [{ name: 'a', title: 'A', boxes: ['one'] }];
  expect(plan(tiers, [{ id: 'e', source: 'one', target: 'gone' }], DESKTOP).routes).toEqual([]);
});

it('a path has round corners, and begins and ends where its edge does', () => {
  const drawn = path([
    { x: 0, y: 0 },
    { x: 0, y: 20 },
    { x: 30, y: 20 },
  ]);
  expect(drawn).toBe('M0 0L0 13Q0 20 7 20L30 20');
  expect(path([])).toBe('');
});

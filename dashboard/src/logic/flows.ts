/** How many events pass along the edges of the topology, as dots that move. Pure: rates in, dots out. */
import { number } from './format';
import { type Edge, EVERYBODY, type Picture } from './topology';

export interface Rates {
  /** Accepted publishes, events read from the log, and deliveries, each a second, by the name of the replica. */
  publishes: ReadonlyMap<string, number>;
  events: ReadonlyMap<string, number>;
  deliveries: ReadonlyMap<string, number>;
}

export interface Flow {
  edge: string;
  /** Against the direction in which the connection is made. */
  back: boolean;
  /** Events a second. */
  rate: number;
}

/** More dots a second on one edge than this are no dots any more. */
const MOST = 6;

/** The flows of publishing: from the world to the log; and of delivering: back from the log to the world. */
export function flows(picture: Picture, rates: Rates): Flow[] {
  const found: Flow[] = [];
  const tier = new Map(picture.boxes.map((box) => [box.id, box.tier]));
  const sum = (box: string, from: ReadonlyMap<string, number>): number => {
    const containers = picture.boxes.find((one) => one.id === box)?.containers ?? [];
    return containers.reduce((all, one) => all + (from.get(one.short) ?? from.get(one.name) ?? 0), 0);
  };
  const add = (edge: Edge, forth: number, back: number): void => {
    if (forth > 0) found.push({ edge: edge.id, back: false, rate: forth });
    if (back > 0) found.push({ edge: edge.id, back: true, rate: back });
  };
  const total = (from: ReadonlyMap<string, number>): number => [...from.values()].reduce((all, one) => all + one, 0);
  const doors = picture.edges.filter((one) => tier.get(one.source) === 'world' && tier.get(one.target) === 'entry');
  const open = doors.some((one) => one.source === EVERYBODY);
  for (const edge of picture.edges) {
    const [source, target] = [tier.get(edge.source), tier.get(edge.target)];
    if (doors.includes(edge) && (edge.source === EVERYBODY || !open))
      add(edge, total(rates.publishes), total(rates.deliveries));
    else if (source === 'entry' && target === 'replicas')
      add(edge, sum(edge.target, rates.publishes), sum(edge.target, rates.deliveries));
    else if (source === 'replicas' && target === 'data' && edge.whys.some((why) => /\bpublish/.test(why)))
      add(edge, sum(edge.source, rates.publishes), sum(edge.source, rates.events));
  }
  return found;
}

/** How many events one dot stands for, so that the busiest edge still has dots that one can see. */
export function eventsPerDot(all: readonly Flow[]): number {
  const busiest = Math.max(0, ...all.map((one) => one.rate));
  let events = 1;
  while (busiest / events > MOST) events *= 10;
  return events;
}

export function flowSentence(all: readonly Flow[], known: boolean): string {
  if (!known) return 'How many events pass is not known.';
  if (all.length === 0) return 'No event passes now.';
  const events = eventsPerDot(all);
  return `A dot is ${events === 1 ? 'one event' : `${number(events)} events`}: published ones go down, delivered ones up.`;
}

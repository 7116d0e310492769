/** What was published against what was seen: the judge of the resume demonstration and of a load test. */
export interface Tally {
  /** Accepted by the service: it answered with their ids. */
  published: number;
  seen: number;
  lost: number;
  twice: number;
  /** Seen before one that is older. */
  disordered: number;
  /** Seen, and not among those that were published here: nobody else should know the channel. */
  foreign: number;
}

/** Ids of published events in the order of the log, and ids in the order in which they were seen. */
export function tally(published: readonly string[], seen: readonly string[]): Tally {
  const place = new Map(published.map((id, index) => [id, index]));
  const times = new Map<string, number>();
  let [foreign, disordered, newest] = [0, 0, -1];
  for (const id of seen) {
    const index = place.get(id);
    if (index === undefined) {
      foreign += 1;
      continue;
    }
    const before = times.get(id) ?? 0;
    times.set(id, before + 1);
    if (before === 0 && index < newest) disordered += 1;
    newest = Math.max(newest, index);
  }
  const twice = [...times.values()].filter((count) => count > 1).length;
  return {
    published: place.size,
    seen: times.size,
    lost: place.size - times.size,
    twice,
    disordered,
    foreign,
  };
}

/** Whether a resume kept its promise, in one sentence. */
export function verdict(found: Tally, missed: number, source: string | null): { good: boolean; text: string } {
  const good = found.lost === 0 && found.twice === 0 && found.disordered === 0 && found.foreign === 0;
  const place: Record<string, string> = {
    ring: 'from the memory of the replica (ring)',
    redis: 'from the Redis history',
    log: 'from the log',
    new: 'as a new stream',
  };
  const where = source === null ? 'from a place that it did not name' : (place[source] ?? `from ${source}`);
  const parts = [`${found.lost} lost`, `${found.twice} twice`];
  if (found.disordered > 0) parts.push(`${found.disordered} out of order`);
  if (found.foreign > 0) parts.push(`${found.foreign} from somebody else`);
  const resumed = `${missed} of ${found.published} events were published while the stream was cut. It resumed ${where}`;
  return { good, text: `${resumed}: ${parts.join(', ')}.` };
}

/**
 * The same for a load test, by the numbers of its events: `counts` says for each subscriber how often each came.
 * An event that was not accepted may have been stored all the same (its answer was lost): it is neither lost nor twice.
 */
export function count(
  accepted: Uint8Array,
  counts: readonly Uint8Array[],
): { seen: number; lost: number; twice: number } {
  const found = { seen: 0, lost: 0, twice: 0 };
  for (const times of counts) {
    for (let n = 0; n < accepted.length; n += 1) {
      const here = times[n] ?? 0;
      if (here > 0 && accepted[n]) found.seen += 1;
      if (here === 0 && accepted[n]) found.lost += 1;
      if (here > 1) found.twice += 1;
    }
  }
  return found;
}

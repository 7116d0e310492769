/**
 * What time it is. The platform dates what it says by its own clock, and that of this computer may be wrong: then every
 * age would be, and a graph would end at a time that has not come yet. So the times of answers correct it.
 */

/** Answers say their time in whole seconds; two clocks that are nearer to each other than this agree. */
const AGREED_MS = 5_000;
/** What is known is not moved to and fro by less. */
const SAME_MS = 2_000;

let ahead = 0;

/** Milliseconds since 1970, by the clock of the platform. */
export function now(): number {
  return Date.now() - ahead;
}

/** How far the clock of this computer is ahead of that of the platform, in milliseconds; 0 where they agree. */
export function clockAhead(): number {
  return ahead;
}

/** Takes the time of an answer that was asked for at `sent` and came at `got`, both by the clock of this computer. */
export function heard(date: string | null, sent: number, got: number): void {
  const served = Date.parse(date ?? '');
  if (Number.isNaN(served)) return;
  const found = difference(served, sent, got);
  if (found === 0 || Math.abs(found - ahead) > SAME_MS) ahead = found;
}

/** An answer that waited, here or on its way, says nothing against a clock: it was made between `sent` and `got`. */
function difference(served: number, sent: number, got: number): number {
  if (sent - served > AGREED_MS) return sent - served;
  return served - got > AGREED_MS ? got - served : 0;
}

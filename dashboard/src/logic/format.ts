const plain = new Intl.NumberFormat('en');
const short = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const fine = new Intl.NumberFormat('en', { maximumFractionDigits: 2 });

export const NOTHING = '–';

/** Counts as they are; measured values with one decimal below 100. */
export function number(value: number | null): string {
  if (value === null) return NOTHING;
  return Number.isInteger(value) || value >= 100 ? plain.format(Math.round(value)) : short.format(value);
}

export function counted(count: number, one: string, many = `${one}s`): string {
  return `${plain.format(count)} ${count === 1 ? one : many}`;
}

/** A length of time in its largest sensible unit, for a figure: [3:07, min]. */
export function age(milliseconds: number): [value: string, unit: string] {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 60) return [String(seconds), 's'];
  if (seconds < 3600) return [`${Math.floor(seconds / 60)}:${pad(seconds % 60)}`, 'min'];
  return [`${Math.floor(seconds / 3600)}:${pad(Math.floor(seconds / 60) % 60)}`, 'h'];
}

/** A length of time in words, rounded down: 45 s, 32 min, 5 h, 3 days. */
export function length(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 90 * 60) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} days`;
}

/** How long ago: now, 45 s ago, 32 min ago. */
export function ago(milliseconds: number): string {
  return milliseconds < 1000 ? 'now' : `${length(milliseconds)} ago`;
}

/** Seconds as a person reads them: 0.8 ms, 12 ms, 1.5 s. */
export function latency(seconds: number | null): [value: string, unit: string] {
  if (seconds === null) return [NOTHING, ''];
  if (seconds < 1) return [number(seconds * 1000), 'ms'];
  return [fine.format(seconds), 's'];
}

/** Bytes in powers of 1,024: 512 B, 1.5 KiB, 64 MiB. */
export function bytes(value: number | null): string {
  if (value === null) return NOTHING;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [left, unit] = [value, 0];
  while (left >= 1024 && unit < units.length - 1) [left, unit] = [left / 1024, unit + 1];
  return `${number(left)} ${units[unit]}`;
}

/** A share of 1 as per cent: 99.98 %. What is below 1 and would round to 100 is not called 100. */
export function percent(share: number | null): string {
  if (share === null) return NOTHING;
  const value = share * 100;
  return `${fine.format(share < 1 ? Math.min(99.99, value) : value)} %`;
}

/** The page's local time of day, to the millisecond. */
export function clock(date: Date): string {
  return `${time(date)}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/** The page's local time of day, to the second. */
export function time(date: Date): string {
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(pad).join(':');
}

/** Names as a sentence holds them: a, b and c. */
export function listed(names: readonly string[]): string {
  return names.length < 2 ? (names[0] ?? '') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}

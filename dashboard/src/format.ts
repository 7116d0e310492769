const plain = new Intl.NumberFormat('en');
const short = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

export const NOTHING = '–';

/** Counts as they are; measured values with one decimal below 100. */
export function number(value: number | null): string {
  if (value === null) return NOTHING;
  return Number.isInteger(value) || value >= 100 ? plain.format(Math.round(value)) : short.format(value);
}

export function counted(count: number, one: string, many = `${one}s`): string {
  return `${plain.format(count)} ${count === 1 ? one : many}`;
}

/** A length of time in its largest sensible unit. */
export function age(milliseconds: number): [value: string, unit: string] {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 60) return [String(seconds), 's'];
  if (seconds < 3600) return [`${Math.floor(seconds / 60)}:${pad(seconds % 60)}`, 'min'];
  return [`${Math.floor(seconds / 3600)}:${pad(Math.floor(seconds / 60) % 60)}`, 'h'];
}

/** The page's local time of day, to the millisecond. */
export function clock(date: Date): string {
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(pad).join(':');
  return `${time}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}

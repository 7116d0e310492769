import type { Row } from './rows';

/** A line for each event: its data is the text that it has, so that publishing a line again gives the same event. */
export function ndjson(rows: Iterable<Row>): string {
  const lines: string[] = [];
  for (const row of rows) {
    if (row.kind !== 'event') continue;
    const line: Record<string, unknown> = { id: row.id, channel: row.channel, event: row.event, data: row.data };
    if (row.time !== null) line['time'] = new Date(row.time).toISOString();
    if (row.traceparent !== null) line['traceparent'] = row.traceparent;
    lines.push(`${JSON.stringify(line)}\n`);
  }
  return lines.join('');
}

/** An argument of a shell, whatever is in it (POSIX, section 2.2.2). */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** JSON in ASCII alone: what a terminal would act on when it is pasted stands as an escape. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Linux takes 131,072 bytes of one argument. */
const LONGEST_ARGUMENT = 100_000;

/**
 * The command that publishes the same event again. It never holds a token: where one is needed, it takes that of the
 * environment.
 */
export function curl(
  origin: string,
  event: { channel: string; event: string; data: string; traceparent?: string | null },
  authorized: boolean,
): string {
  const body: Record<string, unknown> = { channel: event.channel };
  if (event.event !== 'message') body['event'] = event.event;
  body['data'] = event.data;
  const json = asciiJson(body);
  const parts = [`curl -sS ${quoted(`${origin}/api/v1/events`)}`, `-H 'Content-Type: application/json'`];
  if (authorized) parts.push('-H "Authorization: Bearer $TOKEN"');
  if (event.traceparent) parts.push(`-H ${quoted(`traceparent: ${event.traceparent}`)}`);
  if (json.length <= LONGEST_ARGUMENT) return [...parts, `--data-binary ${quoted(json)}`].join(' \\\n  ');
  return `${[...parts, "--data-binary @- <<'EVENT'"].join(' \\\n  ')}\n${json}\nEVENT\n`;
}

/** One cell of CSV (RFC 4180). A text that a spreadsheet would run as a formula gets an apostrophe. */
export function cell(value: string | number | null): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function csv(rows: readonly (readonly (string | number | null)[])[]): string {
  return rows.map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}

export function escapeHtml(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (found) => names[found] ?? found);
}

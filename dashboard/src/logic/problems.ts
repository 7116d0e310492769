/** What a problem document (RFC 9457) says, by the field of the form that it is about. */
export interface Refusal {
  /** For the whole form: what no field is to blame for. */
  general: string | null;
  fields: Partial<Record<'channel' | 'event' | 'data', string[]>>;
}

const FIELDS = ['channel', 'event', 'data'] as const;
type Field = (typeof FIELDS)[number];

/** @param fallback what to say where the body is no problem document */
export function refusalOf(body: unknown, fallback: string): Refusal {
  const found: Refusal = { general: null, fields: {} };
  if (typeof body !== 'object' || body === null) return { ...found, general: fallback };
  const problem = body as Record<string, unknown>;
  const errors = Array.isArray(problem['errors']) ? problem['errors'] : [];
  for (const error of errors) {
    if (typeof error !== 'object' || error === null) continue;
    const { field, pointer, detail } = error as Record<string, unknown>;
    const name = fieldOf(field);
    const words = sentence(typeof detail === 'string' ? detail : 'this is not valid');
    const place = typeof pointer === 'string' && pointer !== '' ? pointer.replace(/^\/data(?=\/|$)/, '') : '';
    const text = place === '' ? words : `At ${place}: ${words}`;
    if (name === null) found.general ??= text;
    else found.fields[name] = [...(found.fields[name] ?? []), text];
  }
  if (Object.keys(found.fields).length > 0) return found;
  const detail = textOf(problem['detail']) ?? textOf(problem['title']);
  if (detail === null) return { ...found, general: found.general ?? fallback };
  const channel = textOf(problem['channel']);
  // "0.channel: ..." and a channel that the credential does not cover name their field, too.
  const name = channel === null ? fieldOf(/^(?:\d+\.)?(channel|event|data)\b/.exec(detail)?.[0]) : 'channel';
  if (name === null) found.general ??= sentence(detail);
  else found.fields[name] = [sentence(detail)];
  return found;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** `0.data` is the data of the first event; `data.n` is in the data. */
function fieldOf(path: unknown): Field | null {
  if (typeof path !== 'string') return null;
  const words = path.split(/[.[\]/]/).filter((word) => word !== '' && !/^\d+$/.test(word));
  return FIELDS.find((name) => name === words[0]) ?? null;
}

function sentence(text: string): string {
  const trimmed = text.trim();
  const first = trimmed.slice(0, 1).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

export interface Draft {
  channel: string;
  event: string;
  data: string;
  /** Whether the data is JSON or text. */
  json: boolean;
}

/** The body of a publish, or what is wrong before anybody is asked. */
export function bodyOf(draft: Draft): { body: string } | { refusal: Refusal } {
  const fields: Refusal['fields'] = {};
  if (draft.channel.trim() === '') fields.channel = ['Give a channel, such as orders.eu.'];
  const event = draft.event.trim();
  let data = JSON.stringify(draft.data);
  if (draft.json) {
    try {
      JSON.parse(draft.data);
      data = draft.data; // as it was written: numbers of many digits stay as they are
    } catch (error) {
      const why = draft.data.trim() === '' ? 'it is empty' : error instanceof Error ? error.message : String(error);
      fields.data = [`This is not JSON: ${why}. Choose “Text” to send it as it is.`];
    }
  }
  if (Object.keys(fields).length > 0) return { refusal: { general: null, fields } };
  const name = event === '' ? '' : `"event":${JSON.stringify(event)},`;
  return { body: `{"channel":${JSON.stringify(draft.channel.trim())},${name}"data":${data}}` };
}

import type { Matcher } from './rows';

export interface Filters {
  channel: string;
  name: string;
  text: string;
}

/**
 * Terms of a field, with spaces between them: any of them has to match, and none that begins with "-". A term with a
 * star is a pattern for the whole word; any other is looked for anywhere in it. Upper and lower case are the same.
 */
export function terms(field: string): (word: string) => boolean {
  const [wanted, refused]: [((word: string) => boolean)[], ((word: string) => boolean)[]] = [[], []];
  for (const term of field.toLowerCase().split(/\s+/)) {
    const negative = term.startsWith('-') && term.length > 1;
    const text = negative ? term.slice(1) : term;
    if (text !== '')
      (negative ? refused : wanted).push(text.includes('*') ? pattern(text) : (word) => word.includes(text));
  }
  return (word) => {
    const lower = word.toLowerCase();
    return (wanted.length === 0 || wanted.some((one) => one(lower))) && !refused.some((one) => one(lower));
  };
}

/** Stars stand for any characters. Not a regular expression: a pattern of many stars would make one slow. */
function pattern(text: string): (word: string) => boolean {
  const parts = text.split('*');
  const [first, last] = [parts[0] ?? '', parts.at(-1) ?? ''];
  const inner = parts.slice(1, -1);
  return (word) => {
    if (word.length < first.length + last.length || !word.startsWith(first) || !word.endsWith(last)) return false;
    let place = first.length;
    for (const part of inner) {
      const found = word.indexOf(part, place);
      if (found === -1) return false;
      place = found + part.length;
    }
    return place <= word.length - last.length;
  };
}

/** What passes all three fields. What the stream says of itself (gaps, goodbyes, notes) always passes. */
export function matcher(filters: Filters): Matcher {
  const [channel, name, text] = [terms(filters.channel), terms(filters.name), filters.text.toLowerCase()];
  return (row) => {
    if (row.kind !== 'event') return true;
    if (!channel(row.channel ?? '') || !name(row.event)) return false;
    return text === '' || row.data.toLowerCase().includes(text) || row.id === filters.text;
  };
}

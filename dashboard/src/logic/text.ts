/** Signs that every font has; most have none for the other controls. */
const PICTURES: Record<string, string> = { '\n': '↵', '\t': '→' };

/**
 * Text of strangers, made visible: controls, what changes the direction of text, and what has no width, by its number.
 * A line feed and a tab stay where lines are shown.
 */
export function visible(text: string, lines = false): string {
  return text.replace(HIDDEN, (found) => {
    if (lines && (found === '\n' || found === '\t')) return found;
    const picture = PICTURES[found];
    if (picture !== undefined) return picture;
    const code = found.codePointAt(0) ?? 0;
    return `\u27e8${code
      .toString(16)
      .toUpperCase()
      .padStart(code < 0x80 ? 2 : 4, '0')}\u27e9`;
  });
}

// Controls; soft hyphen; what has no width, no ink or turns the direction; separators of lines; lone surrogates; byte
// order mark; tags, and selectors of variants but those of pictures, in which a text can be hidden.
const HIDDEN =
  // biome-ignore lint: these are the characters to be found
  /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\udb40[\udc00-\uddef]/g;

/** The first characters of a text, without half of a pair, and how many there are in all. */
export function beginning(text: string, most: number): { text: string; whole: boolean } {
  if (text.length <= most) return { text, whole: true };
  const last = text.charCodeAt(most - 1);
  return { text: text.slice(0, last >= 0xd800 && last <= 0xdbff ? most - 1 : most), whole: false };
}

/** Deeper than this, lines are not moved further to the right: nobody could read them. */
const DEEPEST_INDENT = 24;

export interface Pretty {
  text: string;
  /** False where the text is no JSON: it is then as it came. */
  json: boolean;
  whole: boolean;
  /** How many lists and objects lie in each other. */
  depth: number;
}

/**
 * JSON with a line for each value, made of the text and not of its value: numbers stay as they came, members of one
 * name stay, and no depth is too deep.
 */
export function pretty(text: string, most: number): Pretty {
  if (!isJson(text)) return { ...beginning(text, most), json: false, depth: 0 };
  const out: string[] = [];
  let [length, depth, deepest, place] = [0, 0, 0, 0];
  const put = (part: string): void => {
    out.push(part);
    length += part.length;
  };
  const line = (): void => put(`\n${'  '.repeat(Math.min(depth, DEEPEST_INDENT))}`);
  while (place < text.length && length < most) {
    const character = text[place] ?? '';
    if (character === '"') {
      const end = endOfString(text, place);
      put(text.slice(place, end));
      place = end;
      continue;
    }
    place += 1;
    if (character === '{' || character === '[') {
      const closing = nextSign(text, place);
      if (text[closing] === '}' || text[closing] === ']') {
        put(character + (text[closing] ?? ''));
        place = closing + 1;
        deepest = Math.max(deepest, depth + 1);
        continue;
      }
      depth += 1;
      deepest = Math.max(deepest, depth);
      put(character);
      line();
    } else if (character === '}' || character === ']') {
      depth -= 1;
      line();
      put(character);
    } else if (character === ',') {
      put(',');
      line();
    } else if (character === ':') put(': ');
    else if (!/\s/.test(character)) put(character);
  }
  const found = beginning(out.join(''), most);
  return { text: found.text, whole: found.whole && place >= text.length, json: true, depth: deepest };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function endOfString(text: string, start: number): number {
  let place = start + 1;
  while (place < text.length && text[place] !== '"') place += text[place] === '\\' ? 2 : 1;
  return place + 1;
}

function nextSign(text: string, start: number): number {
  let place = start;
  while (place < text.length && /\s/.test(text[place] ?? '')) place += 1;
  return place;
}

/** The first character that no credential has, in words; null where there is none. */
export function strangeIn(token: string): string | null {
  const found = /[^!-~]/u.exec(token)?.[0];
  if (found === undefined) return null;
  return found === ' ' ? 'a space' : /\s/.test(found) ? 'the end of a line' : `the character ${visible(found)}`;
}

/** The bytes of a text as UTF-8. */
export function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** 3 B, 1.2 KB, 3.4 MB. */
export function sizeOf(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 999_950 ? `${(bytes / 1000).toFixed(1)} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

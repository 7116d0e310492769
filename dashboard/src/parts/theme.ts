const NEXT = { system: 'light', light: 'dark', dark: 'system' } as const;
export type Theme = keyof typeof NEXT;

const handlers = new Set<() => void>();
const dark = window.matchMedia('(prefers-color-scheme: dark)');
dark.addEventListener('change', changed);

/** The theme that was chosen. */
export function theme(): Theme {
  return (document.documentElement.dataset['theme'] as Theme | undefined) ?? 'system';
}

/** Chooses the next one. It is kept for the next visit (public/theme.js applies it before the first paint). */
export function nextTheme(): void {
  const root = document.documentElement;
  const chosen = NEXT[theme()];
  if (chosen === 'system') delete root.dataset['theme'];
  else root.dataset['theme'] = chosen;
  try {
    if (chosen === 'system') localStorage.removeItem('theme');
    else localStorage.setItem('theme', chosen);
  } catch {
    // Storage is switched off: the choice lasts as long as the page.
  }
  changed();
}

/** Calls `handler` when the colours of the page become others; returns what ends that. */
export function onTheme(handler: () => void): () => void {
  handlers.add(handler);
  return () => void handlers.delete(handler);
}

/** A colour of the theme as it is now, such as `colour('accent')`. A canvas needs it as a value. */
export function colour(name: string): string {
  return getComputedStyle(probe(name)).color;
}

const probes = new Map<string, HTMLElement>();

/** light-dark() is resolved only in a used value, so an element has to use it. */
function probe(name: string): HTMLElement {
  const known = probes.get(name);
  if (known !== undefined) return known;
  const node = document.createElement('i');
  node.hidden = true;
  node.style.color = `var(--${name})`;
  document.body.append(node);
  probes.set(name, node);
  return node;
}

function changed(): void {
  for (const handler of handlers) handler();
}

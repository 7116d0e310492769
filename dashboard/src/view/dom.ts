/** Everything the page writes goes through textContent: data from the stream is never markup. */

export function element<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no element #${id}`);
  return found as unknown as T;
}

/** Writes only what changed, so that screen readers and the layout are left in peace. */
export function write(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

export function show(id: string, text: string): void {
  write(element(id), text);
}

/** A copy of a template's one child. */
export function copy(template: string): HTMLElement {
  const child = element<HTMLTemplateElement>(template).content.firstElementChild;
  if (child === null) throw new Error(`template #${template} is empty`);
  return child.cloneNode(true) as HTMLElement;
}

/** Keeps one row per item, reusing those that exist. */
export function rows<T>(list: Element, template: string, items: readonly T[], fill: (row: Element, item: T) => void) {
  while (list.children.length > items.length) list.lastElementChild?.remove();
  for (const [index, item] of items.entries()) {
    const row = list.children[index] ?? list.appendChild(copy(template));
    fill(row, item);
  }
}

export const calm = window.matchMedia('(prefers-reduced-motion: reduce)');

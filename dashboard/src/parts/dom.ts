/** Everything the page writes goes through textContent: data from outside is never markup. */

type Child = Node | string | null;
type Attributes = Record<string, string | boolean | number>;

/** Makes an element: attributes as in HTML (true is one without a value, false leaves it out), then its children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'style')
      throw new Error('a style goes through node.style: the policy of the page forbids the attribute');
    if (value !== false) node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** The same for SVG. */
export function svg(tag: string, attributes: Attributes = {}, ...children: Node[]): SVGElement {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

export function element<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element #${id}`);
  return found as unknown as T;
}

/** Writes only what changed, so that screen readers and the layout are left in peace. */
export function write(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets an attribute only when it changed; null takes it away. */
export function attribute(node: Element, name: string, value: string | null): void {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** Keeps one child per item, reusing those that exist. */
export function rows<T, N extends Element>(
  list: Element,
  items: readonly T[],
  make: () => N,
  fill: (row: N, item: T, index: number) => void,
): void {
  while (list.children.length > items.length) list.lastElementChild?.remove();
  for (const [index, item] of items.entries()) {
    const row = (list.children[index] as N | undefined) ?? list.appendChild(make());
    fill(row, item, index);
  }
}

export const calm = window.matchMedia('(prefers-reduced-motion: reduce)');

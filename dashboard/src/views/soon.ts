import { h } from '../parts/dom';
import type { View } from './view';

/** A view that is not there yet, which says so. */
export function soon(name: View['name'], key: View['key'], title: string, what: string): View {
  return {
    name,
    key,
    title,
    mount(root) {
      root.append(
        h('section', { class: 'card' }, h('h2', {}, title), h('p', {}, `This view is not there yet. ${what}`)),
      );
      return { show: () => {}, hide: () => {} };
    },
  };
}

import { attribute, h, rows, write } from './dom';

export interface Column<T> {
  title: string;
  /** The cell's text. */
  text(item: T): string;
  /** More about the cell, for the pointer; '' is nothing. */
  more?(item: T): string;
  /** Right-aligned figures. */
  figure?: boolean;
  /** A word for the cell's look: data-state. */
  state?(item: T): string;
}

/** A table whose rows are reused; on a phone each row becomes a card, with the titles before the cells. */
export class Table<T> {
  readonly root: HTMLElement;
  private readonly body = h('tbody');

  constructor(
    label: string,
    private readonly columns: readonly Column<T>[],
  ) {
    const titles = columns.map((column) =>
      h('th', { scope: 'col', ...(column.figure === true ? { class: 'figure' } : {}) }, column.title),
    );
    const table = h('table', {}, h('thead', {}, h('tr', {}, ...titles)), this.body);
    this.root = h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label }, table);
  }

  draw(items: readonly T[]): void {
    rows(
      this.body,
      items,
      () => this.row(),
      (row, item) => {
        for (const [index, column] of this.columns.entries()) {
          const cell = row.children[index];
          if (cell === undefined) continue;
          write(cell, column.text(item));
          attribute(cell, 'title', column.more?.(item) || null);
          attribute(cell, 'data-state', column.state?.(item) || null);
        }
      },
    );
  }

  private row(): HTMLTableRowElement {
    return h(
      'tr',
      {},
      ...this.columns.map((column) =>
        h('td', { 'data-title': column.title, ...(column.figure === true ? { class: 'figure' } : {}) }),
      ),
    );
  }
}

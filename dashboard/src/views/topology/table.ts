import type { Matrix, MatrixEdge } from '../../logic/files';
import { grid, MARKS, milliFigure, milliseconds, type Picture } from '../../logic/topology';
import { h, write } from '../../parts/dom';

/** The matrix: who can connect to which port of whom. The keys of arrows move from cell to cell. */
export class MatrixTable {
  readonly root = h('div', { class: 'matrix' });
  private readonly line = h('p', { class: 'cell-line', role: 'status' });
  private drawn = '';
  private picture: Picture | null = null;
  private cells: HTMLElement[][] = [];

  draw(matrix: Matrix | null, picture: Picture, fresh: boolean): void {
    this.picture = picture;
    const key = `${matrix?.time} ${fresh} ${picture.boxes.length}`;
    if (key === this.drawn) return;
    this.drawn = key;
    if (matrix === null) {
      this.root.replaceChildren(
        h('p', { class: 'hole' }, 'No connection was measured yet. ./sse verify measures them all.'),
      );
      return;
    }
    this.root.dataset['fresh'] = String(fresh);
    const table = this.table(matrix);
    const region = h(
      'div',
      { class: 'cells', tabindex: '-1', role: 'region', 'aria-label': 'Matrix of connections' },
      table,
    );
    this.root.replaceChildren(this.line, region, legend(matrix));
    write(this.line, 'Choose a cell to see what it stands for.');
  }

  private table(matrix: Matrix): HTMLElement {
    const order = (this.picture?.boxes ?? []).flatMap((box) => box.containers.map((one) => one.name));
    const { sources, columns, cell } = grid(matrix, order);
    const heads = columns.map(({ target, port }) =>
      h('th', { scope: 'col' }, h('span', {}, `${this.short(target)}:${port}`)),
    );
    this.cells = [];
    const rows = sources.map((source, y) => {
      const cells = columns.map(({ target, port }, x) => this.cell(cell(source, target, port), x, y));
      this.cells.push(cells);
      return h('tr', {}, h('th', { scope: 'row' }, this.short(source)), ...cells);
    });
    const table = h(
      'table',
      { role: 'grid', 'aria-label': 'Who can connect to which port', 'aria-readonly': 'true' },
      h('thead', {}, h('tr', {}, h('td', {}), ...heads)),
      h('tbody', {}, ...rows),
    );
    table.addEventListener('keydown', (event) => this.key(event));
    return table;
  }

  private cell(edge: MatrixEdge | undefined, x: number, y: number): HTMLElement {
    const state = edge === undefined ? 'none' : edge.verdict;
    const cell = h(
      'td',
      { role: 'gridcell', tabindex: x === 0 && y === 0 ? '0' : '-1', 'data-state': state, 'data-x': x, 'data-y': y },
      edge === undefined ? '' : mark(edge),
    );
    const words = edge === undefined ? 'the container itself' : this.words(edge);
    cell.setAttribute('aria-label', words);
    const say = (): void => write(this.line, words.charAt(0).toUpperCase() + words.slice(1));
    cell.addEventListener('focus', say);
    cell.addEventListener('pointerenter', say);
    cell.addEventListener('click', () => this.go(x, y));
    return cell;
  }

  private words(edge: MatrixEdge): string {
    const who = `${this.short(edge.source)} → ${this.short(edge.target)}:${edge.port}`;
    const why = this.why(edge);
    const found: Record<MatrixEdge['verdict'], string> = {
      reached: `open, as declared${edge.ms === null ? '' : `, in ${milliseconds(edge.ms)}`}`,
      broken: `closed, though it is declared: ${edge.got || 'no answer'}`,
      refused: 'closed, and nobody declares it',
      open: 'open, though nobody declares it: one network for all allows that',
      leak: `open, though nobody declares it, against the firewall of the segments: ${edge.got}`,
      unmeasured: 'not measured: one of the two did not run',
    };
    return `${who} is ${found[edge.verdict]}.${why === '' ? '' : ` It is there to ${why}.`}`;
  }

  private why(edge: MatrixEdge): string {
    const containers = (this.picture?.boxes ?? []).flatMap((box) => box.containers);
    const reaches = containers.find((one) => one.name === edge.source)?.reaches ?? [];
    return reaches.find((one) => one.to === edge.target && one.port === edge.port)?.why ?? '';
  }

  private short(name: string): string {
    const containers = (this.picture?.boxes ?? []).flatMap((box) => box.containers);
    return containers.find((one) => one.name === name)?.short ?? name;
  }

  private key(event: KeyboardEvent): void {
    const moves: Record<string, [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const move = moves[event.key];
    if (move === undefined || !(event.target instanceof HTMLElement)) return;
    event.preventDefault();
    this.go(Number(event.target.dataset['x']) + move[0], Number(event.target.dataset['y']) + move[1]);
  }

  private go(x: number, y: number): void {
    const next = this.cells[y]?.[x];
    if (next === undefined) return;
    for (const cell of this.cells.flat()) cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
}

/** What was reached says how long that took, in ms. */
function mark(edge: MatrixEdge): string {
  if (edge.verdict !== 'reached' || edge.ms === null) return MARKS[edge.verdict];
  return milliFigure(edge.ms);
}

function legend(matrix: Matrix): HTMLElement {
  const verdicts = (Object.keys(MARKS) as MatrixEdge['verdict'][]).filter((one) => (matrix.counts[one] ?? 0) > 0);
  const items = verdicts.map((one) =>
    h(
      'li',
      {},
      h('i', { 'data-state': one, 'aria-hidden': 'true' }, MARKS[one]),
      `${matrix.counts[one]} ${matrix.meanings[one] ?? one}${one === 'reached' ? ', with the ms that it took' : ''}`,
    ),
  );
  return h('ul', { class: 'marks' }, ...items);
}

import { HEIGHT, paths, WIDTH } from '../logic/spark';
import { attribute, svg } from './dom';

/** A line without axes, beside a figure that says the same as text. A hole in the values is a hole in the line. */
export class Sparkline {
  readonly root: SVGElement;
  private readonly line = svg('path', { class: 'spark-line' });
  private readonly area = svg('path', { class: 'spark-area' });

  constructor() {
    this.root = svg(
      'svg',
      { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      this.area,
      this.line,
    );
  }

  draw(values: readonly (number | null)[], least = 0): void {
    const { line, area } = paths(values, least);
    attribute(this.line, 'd', line);
    attribute(this.area, 'd', area);
  }
}

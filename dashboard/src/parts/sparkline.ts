import { attribute, svg } from './dom';

const [WIDTH, HEIGHT] = [120, 32];

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

/** The paths of the line and of the area under it, in a box of 120 by 32. */
export function paths(values: readonly (number | null)[], least = 0): { line: string; area: string } {
  const most = values.reduce<number>((high, value) => Math.max(high, value ?? high), least);
  const span = most - least || 1;
  const step = WIDTH / Math.max(1, values.length - 1);
  let [line, area] = ['', ''];
  let begun: number | null = null;
  for (const [index, value] of values.entries()) {
    const x = (index * step).toFixed(1);
    if (value !== null) {
      const y = (HEIGHT - 1.5 - ((value - least) / span) * (HEIGHT - 4)).toFixed(1);
      line += `${begun === null ? 'M' : 'L'}${x} ${y}`;
      area += begun === null ? `M${x} ${HEIGHT}L${x} ${y}` : `L${x} ${y}`;
      begun ??= index;
    }
    const last = index === values.length - 1;
    if (begun !== null && (value === null || last)) {
      const end = value === null ? ((index - 1) * step).toFixed(1) : x;
      area += `L${end} ${HEIGHT}Z`;
      begun = null;
    }
  }
  return { line, area };
}

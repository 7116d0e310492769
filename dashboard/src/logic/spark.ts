export const [WIDTH, HEIGHT] = [120, 32];

/** The paths of the line and of the area under it, in a box of 120 by 32; what is below `least` lies on its ground. */
export function paths(values: readonly (number | null)[], least = 0): { line: string; area: string } {
  const most = values.reduce<number>((high, value) => Math.max(high, value ?? high), least);
  const span = most - least || 1;
  const step = WIDTH / Math.max(1, values.length - 1);
  let [line, area] = ['', ''];
  let begun: number | null = null;
  for (const [index, value] of values.entries()) {
    const x = (index * step).toFixed(1);
    if (value !== null) {
      const y = (HEIGHT - 1.5 - ((Math.max(least, value) - least) / span) * (HEIGHT - 4)).toFixed(1);
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

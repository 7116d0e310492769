import { number } from '../../logic/format';
import { svg } from '../../parts/dom';
import type { Second } from './engine';

const [HEIGHT, LEFT, BOTTOM] = [190, 64, 26];

/** Delivery times of each second: a bar from p50 to p99, on a scale of powers of ten. */
export function picture(seconds: readonly Second[], asked: number, width: number): SVGElement {
  const whole = Math.max(280, Math.round(width));
  const made = svg('svg', { viewBox: `0 0 ${whole} ${HEIGHT}`, class: 'seconds', role: 'img' });
  const known = seconds.filter((one) => one.p99 !== null);
  const last = known.at(-1);
  made.setAttribute(
    'aria-label',
    last === undefined
      ? 'No second has been measured yet'
      : `Delivery of ${known.length} seconds; in the last one p50 ${number(last.p50)} ms and p99 ${number(last.p99)} ms`,
  );
  const decades = [1, 10, 100, 1000, 10_000];
  const y = (milliseconds: number): number => {
    const share = Math.log10(Math.min(10_000, Math.max(1, milliseconds))) / 4;
    return 8 + (1 - share) * (HEIGHT - BOTTOM - 8);
  };
  for (const one of decades) {
    made.append(svg('path', { class: 'grid', d: `M${LEFT} ${y(one)}H${whole}` }));
    made.append(text(LEFT - 10, y(one) + 6, one < 1000 ? `${one} ms` : `${one / 1000} s`, 'end'));
  }
  const count = Math.max(asked, seconds.length, 1);
  const step = (whole - LEFT) / count;
  for (const [index, second] of seconds.entries()) {
    if (second.p50 === null || second.p99 === null) continue;
    const [x, wide] = [LEFT + index * step + step * 0.15, Math.max(1.5, step * 0.7)];
    const [top, foot] = [y(second.p99), y(second.p50)];
    made.append(
      svg('rect', {
        class: 'span',
        x,
        y: top,
        width: wide,
        height: Math.max(3, foot - top),
        rx: Math.min(4, wide / 2),
      }),
    );
    made.append(svg('rect', { class: 'median', x, y: foot - 2, width: wide, height: 4 }));
  }
  made.append(text(LEFT, HEIGHT - 4, '0 s', 'start'), text(whole, HEIGHT - 4, `${count} s`, 'end'));
  return made;
}

function text(x: number, y: number, words: string, anchor: string): SVGElement {
  const made = svg('text', { x, y, 'text-anchor': anchor });
  made.textContent = words;
  return made;
}

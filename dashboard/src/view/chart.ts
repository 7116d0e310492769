import { counted, number } from '../format';
import { axisTop, type Second, summarise } from '../rate';
import { calm, element, show } from './dom';

const HEIGHT = 100;
/** Share of a second's width that its bar takes. */
const BAR = 0.72;

/** Events per second as bars, drawn as one path: seconds with no open stream are hatched, never zero. */
export class RateChart {
  private history: readonly Second[] = [];
  private picked: number | null = null;

  constructor() {
    const chart = element('chart');
    const svg = element('plot');
    chart.addEventListener('pointermove', (event) => {
      const box = svg.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      this.pick(Math.floor(share * this.history.length));
    });
    chart.addEventListener('pointerleave', () => this.pick(null));
    chart.addEventListener('blur', () => this.pick(null));
    chart.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      this.pick((this.picked ?? this.history.length) + step);
    });
  }

  draw(history: readonly Second[]): void {
    this.history = history;
    const summary = summarise(history, 5);
    const top = axisTop(summary.peak ?? 0);
    show('axis-top', number(top));
    show('axis-mid', number(top / 2));
    element('bar').setAttribute('d', bars(history, top));
    element('blank').setAttribute('d', blanks(history));
    element('chart').setAttribute(
      'aria-label',
      summary.mean === null
        ? 'Events per second, last 2 minutes: nothing known yet'
        : `Events per second, last 2 minutes: mean ${number(summary.mean)}, peak ${number(summary.peak)}`,
    );
    show(
      'rate-summary',
      summary.mean === null
        ? 'Nothing is known yet: hatched seconds had no open stream.'
        : `Mean ${number(summary.mean)}, peak ${number(summary.peak)} over ${counted(summary.knownSeconds, 'second')} known. ` +
            'Hatched: no stream was open, so nothing is known.',
    );
    if (!calm.matches) {
      // The whole drawing glides by one second, on the compositor: no layout, no repaint.
      const glide = [{ transform: `translateX(${100 / history.length}%)` }, { transform: 'none' }];
      element('plot').animate(glide, { duration: 1000 });
    }
    this.readout();
  }

  private pick(index: number | null): void {
    this.picked = index === null ? null : Math.min(this.history.length - 1, Math.max(0, index));
    this.readout();
  }

  private readout(): void {
    const cursor = element('cursor');
    if (this.picked === null) {
      cursor.setAttribute('d', '');
      show('readout', 'last 2 minutes');
      return;
    }
    const count = this.history[this.picked] ?? null;
    const ago = counted(this.history.length - this.picked, 'second');
    cursor.setAttribute('d', `M${this.picked + 0.5} 0V${HEIGHT}`);
    show('readout', `${ago} ago: ${count === null ? 'not known' : counted(count, 'event')}`);
  }
}

function bars(history: readonly Second[], top: number): string {
  let path = '';
  for (const [index, count] of history.entries()) {
    if (count === null) continue;
    // A known zero keeps a hairline, so that it looks different from nothing known.
    const height = Math.max(0.8, (count / top) * HEIGHT);
    const left = (index + (1 - BAR) / 2).toFixed(2);
    path += `M${left} ${HEIGHT}v${(-height).toFixed(2)}h${BAR}v${height.toFixed(2)}z`;
  }
  return path;
}

function blanks(history: readonly Second[]): string {
  return history.map((count, index) => (count === null ? `M${index} 0h1v${HEIGHT}h-1z` : '')).join('');
}

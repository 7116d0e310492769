import { svg } from '../../parts/dom';
import type { Flow } from '../../logic/flows';

const SPEED = 150; // px a second
const FADE = 14; // px at both ends

interface Dot {
  node: SVGElement;
  flow: Flow;
  at: number;
}

/** Dots that move along edges, each for the same number of events. Nothing moves while the view is hidden. */
export class Dots {
  readonly layer = svg('g', { class: 'dots' });
  private flows: readonly Flow[] = [];
  private per = 1;
  private paths: ReadonlyMap<string, SVGPathElement> = new Map();
  private readonly lengths = new Map<string, number>();
  private readonly due = new Map<string, number>();
  private readonly spare: SVGElement[] = [];
  private dots: Dot[] = [];
  private wanted = false;
  private frame = 0;
  private last = 0;

  set(flows: readonly Flow[], eventsPerDot: number): void {
    this.flows = flows;
    this.per = eventsPerDot;
    this.run();
  }

  along(paths: ReadonlyMap<string, SVGPathElement>): void {
    this.paths = paths;
    this.lengths.clear();
    this.clear();
  }

  start(): void {
    this.wanted = true;
    this.run();
  }

  stop(): void {
    this.wanted = false;
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.clear();
  }

  /** Draws frame after frame, as long as there is something that moves. */
  private run(): void {
    if (!this.wanted || this.frame !== 0 || this.flows.length === 0) return;
    this.last = performance.now();
    const step = (now: number): void => {
      this.move(Math.min(0.1, (now - this.last) / 1000));
      this.last = now;
      this.frame = this.flows.length > 0 || this.dots.length > 0 ? requestAnimationFrame(step) : 0;
    };
    this.frame = requestAnimationFrame(step);
  }

  private clear(): void {
    for (const dot of this.dots) dot.node.remove();
    this.dots = [];
  }

  private move(seconds: number): void {
    for (const flow of this.flows) {
      const key = `${flow.edge} ${flow.back}`;
      // A flow that begins sends its first dot at a moment of its own, so that not all move in step.
      const due = (this.due.get(key) ?? Math.random()) + (seconds * flow.rate) / this.per;
      this.due.set(key, due % 1);
      if (due >= 1) this.send(flow);
    }
    this.dots = this.dots.filter((dot) => {
      const path = this.paths.get(dot.flow.edge);
      const length = path === undefined ? 0 : this.length(dot.flow.edge, path);
      dot.at += seconds * SPEED;
      if (path === undefined || dot.at >= length) {
        dot.node.remove();
        this.spare.push(dot.node);
        return false;
      }
      const { x, y } = path.getPointAtLength(dot.flow.back ? length - dot.at : dot.at);
      dot.node.setAttribute('transform', `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
      dot.node.setAttribute('opacity', Math.min(1, dot.at / FADE, (length - dot.at) / FADE).toFixed(2));
      return true;
    });
  }

  private send(flow: Flow): void {
    if (!this.paths.has(flow.edge)) return;
    const node = this.spare.pop() ?? svg('circle', { r: 3.2 });
    node.setAttribute('class', flow.back ? 'delivered' : 'published');
    node.setAttribute('opacity', '0');
    this.layer.append(node);
    this.dots.push({ node, flow, at: 0 });
  }

  private length(edge: string, path: SVGPathElement): number {
    const known = this.lengths.get(edge) ?? path.getTotalLength();
    this.lengths.set(edge, known);
    return known;
  }
}

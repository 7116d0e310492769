import { attribute } from './dom';

interface Lines {
  /** How many there are. */
  count(): number;
  make(): HTMLElement;
  fill(line: HTMLElement, index: number): void;
  chosen(index: number): void;
  /** The place of the chosen line, or null. */
  selected(): number | null;
}

/** More than are seen, so that a scroll by a little finds them drawn. */
const MARGIN = 6;
let lists = 0;

/**
 * A list of any length, of which only the lines in sight are elements. All lines have one height, which the style sheet
 * gives (--line-height). Arrows, Home, End and the page keys choose a line; a click does, too.
 */
export class VirtualList {
  private readonly spacer = document.createElement('div');
  private readonly pool: HTMLElement[] = [];
  private readonly name: string;

  constructor(
    readonly root: HTMLElement,
    private readonly lines: Lines,
  ) {
    lists += 1;
    this.name = `lines-${lists}`;
    root.classList.add('virtual');
    root.tabIndex = 0;
    this.spacer.className = 'spacer';
    root.append(this.spacer);
    root.addEventListener('scroll', () => this.draw(), { passive: true });
    root.addEventListener('keydown', (event) => this.key(event));
    root.addEventListener('click', (event) => {
      const line = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-place]') : null;
      if (line !== null) this.lines.chosen(Number(line.dataset['place']));
    });
    new ResizeObserver(() => this.draw()).observe(root);
  }

  private get lineHeight(): number {
    const height = Number.parseFloat(getComputedStyle(this.root).getPropertyValue('--line-height'));
    return Number.isFinite(height) && height > 0 ? height : 36;
  }

  get atTop(): boolean {
    return this.root.scrollTop < 8;
  }

  toTop(): void {
    this.root.scrollTop = 0;
  }

  draw(): void {
    const [count, height, seen] = [this.lines.count(), this.lineHeight, this.root.clientHeight];
    // Without lines it is no list: an empty one says nothing to a screen reader.
    attribute(this.root, 'role', count > 0 ? 'listbox' : 'group');
    const whole = `${count * height}px`;
    if (this.spacer.style.height !== whole) this.spacer.style.height = whole;
    const first = Math.max(0, Math.floor(this.root.scrollTop / height) - MARGIN);
    const last = Math.min(count, Math.ceil((this.root.scrollTop + seen) / height) + MARGIN);
    const selected = this.lines.selected();
    while (this.pool.length < last - first) this.pool.push(this.made());
    for (const [index, line] of this.pool.entries()) {
      const place = first + index;
      const there = place < last;
      if (line.hidden === there) line.hidden = !there;
      if (!there) continue;
      const shift = `translateY(${place * height}px)`;
      if (line.style.transform !== shift) line.style.transform = shift;
      line.dataset['place'] = String(place);
      attribute(line, 'aria-posinset', String(place + 1));
      attribute(line, 'aria-setsize', String(count));
      attribute(line, 'aria-selected', String(place === selected));
      this.lines.fill(line, place);
    }
    const active = selected === null ? undefined : this.pool[selected - first];
    attribute(this.root, 'aria-activedescendant', active === undefined || active.hidden ? null : active.id);
  }

  private made(): HTMLElement {
    const line = this.lines.make();
    line.classList.add('log-line');
    line.setAttribute('role', 'option');
    line.id = `${this.name}-${this.pool.length}`;
    this.spacer.append(line);
    return line;
  }

  private key(event: KeyboardEvent): void {
    const [count, page] = [this.lines.count(), Math.max(1, Math.floor(this.root.clientHeight / this.lineHeight) - 1)];
    const now = this.lines.selected();
    const places: Record<string, number> = {
      ArrowDown: now === null ? 0 : now + 1,
      ArrowUp: now === null ? 0 : now - 1,
      PageDown: (now ?? 0) + page,
      PageUp: (now ?? 0) - page,
      Home: 0,
      End: count - 1,
    };
    const place = places[event.key];
    if (place === undefined || count === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const bounded = Math.max(0, Math.min(count - 1, place));
    this.reveal(bounded);
    this.lines.chosen(bounded);
  }

  /** Scrolls as little as brings a line into sight. */
  private reveal(place: number): void {
    const [top, height] = [place * this.lineHeight, this.lineHeight];
    if (top < this.root.scrollTop) this.root.scrollTop = top;
    else if (top + height > this.root.scrollTop + this.root.clientHeight)
      this.root.scrollTop = top + height - this.root.clientHeight;
  }
}

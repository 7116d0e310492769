import { element, h } from './parts/dom';
import type { Mounted, Room, View, ViewName } from './views/view';

type Feeds = Omit<Room, 'search' | 'escape' | 'go' | 'keep'>;

interface Page {
  view: View;
  root: HTMLElement;
  /** Says that the view failed. */
  fault: HTMLElement;
  mounted: Mounted;
  search: (text: string) => void;
  escape: () => boolean;
}

/** Shows the view that the address names: #/events?channel=orders. A view is made when it is shown first. */
export class Router {
  /** Called after another view is shown. */
  changed: () => void = () => {};
  private readonly pages = new Map<ViewName, Page>();
  private current: Page | null = null;

  constructor(
    readonly views: readonly View[],
    private readonly feeds: Feeds,
  ) {}

  get shown(): View | null {
    return this.current?.view ?? null;
  }

  start(): void {
    window.addEventListener('hashchange', () => this.follow());
    window.addEventListener('error', (event) => this.failed(event.error));
    window.addEventListener('unhandledrejection', (event) => this.failed(event.reason));
    window.addEventListener('keydown', (event) => this.key(event));
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.feeds.stream.retryNow();
    });
    window.addEventListener('online', () => this.feeds.stream.retryNow());
    // Its address is a place within the page, and the address names the view.
    document.querySelector('.skip')?.addEventListener('click', (event) => {
      event.preventDefault();
      element('main').focus();
    });
    this.follow();
  }

  go(name: ViewName, parameters: Record<string, string> = {}): void {
    location.hash = address(name, parameters);
  }

  /** Gives the text of the search field to the view that is shown. */
  search(text: string): void {
    this.current?.search(text);
  }

  private follow(): void {
    const [, name = '', query = ''] = /^#\/([a-z]*)\??(.*)$/.exec(location.hash) ?? [];
    const view = this.views.find((one) => one.name === name) ?? this.views[0];
    if (view === undefined) return;
    const page = this.pages.get(view.name) ?? this.make(view);
    if (page !== this.current) {
      this.current?.mounted.hide();
      if (this.current !== null) {
        this.current.root.hidden = true;
        this.current.fault.hidden = true;
      }
      page.root.hidden = false;
      this.current = page;
      document.title = `${view.title} · Control room`;
      window.scrollTo(0, 0);
      this.changed();
    }
    try {
      page.fault.hidden = true;
      page.mounted.show(new URLSearchParams(query));
    } catch (error) {
      reportError(error);
    }
  }

  /** A view that fails takes neither the header nor the other views along. */
  private failed(error: unknown): void {
    if (this.current === null || !(error instanceof Error)) return;
    this.current.fault.hidden = false;
    this.current.fault.textContent =
      `The view ${this.current.view.title} cannot show what it got: ${String(error)}. The page may be older than the platform: ` +
      'load it again. The other views work.';
  }

  private make(view: View): Page {
    const root = h('div', { class: `view ${view.name}` });
    const fault = h('p', { class: 'card fault', role: 'alert', hidden: true });
    element('main').append(fault, root);
    document.getElementById('first-paint')?.remove();
    const page: Page = {
      view,
      root,
      fault,
      mounted: { show: () => {}, hide: () => {} },
      search: () => {},
      escape: () => false,
    };
    const room: Room = {
      ...this.feeds,
      search: (handler) => (page.search = handler),
      escape: (handler) => (page.escape = handler),
      go: (name, parameters) => this.go(name, parameters),
      keep: (parameters) => this.keep(page, parameters),
    };
    this.pages.set(view.name, page);
    try {
      page.mounted = view.mount(root, room);
    } catch (error) {
      page.mounted.show = () => {
        throw error;
      };
    }
    return page;
  }

  private keep(page: Page, parameters: Record<string, string>): void {
    if (page !== this.current) return;
    const next = address(page.view.name, parameters);
    if (next === location.hash) return;
    history.replaceState(null, '', next);
  }

  private key(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const field = document.getElementById('search-field') as HTMLInputElement | null;
    if (event.key === 'Escape') {
      if (document.querySelector('dialog[open]') !== null) return; // it closes itself
      if (field !== null && (document.activeElement === field || field.value !== '')) {
        field.value = '';
        field.blur();
        this.search('');
      } else if (this.current?.escape() !== true && document.activeElement instanceof HTMLInputElement)
        document.activeElement.blur();
      return;
    }
    if (typing(event.target) || document.querySelector('dialog[open]') !== null) return;
    const view = this.views.find((one) => one.key === event.key);
    if (view !== undefined) this.go(view.name);
    else if (event.key === '/') field?.focus();
    else if (event.key === '?') element('help').click();
    else return;
    event.preventDefault();
  }
}

function address(name: ViewName, parameters: Record<string, string>): string {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== ''));
  return `#/${name}${query.size > 0 ? `?${query}` : ''}`;
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input, select, textarea, [contenteditable]');
}

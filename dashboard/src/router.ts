import { element } from './parts/dom';
import type { Mounted, Room, View, ViewName } from './views/view';

type Feeds = Omit<Room, 'search' | 'escape' | 'go' | 'keep'>;

interface Page {
  view: View;
  root: HTMLElement;
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
    window.addEventListener('keydown', (event) => this.key(event));
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.feeds.stream.retryNow();
    });
    window.addEventListener('online', () => this.feeds.stream.retryNow());
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
      if (this.current !== null) this.current.root.hidden = true;
      page.root.hidden = false;
      this.current = page;
      document.title = `${view.title} · Control room`;
      window.scrollTo(0, 0);
      this.changed();
    }
    page.mounted.show(new URLSearchParams(query));
  }

  private make(view: View): Page {
    const root = document.createElement('div');
    root.className = `view ${view.name}`;
    element('main').append(root);
    document.getElementById('first-paint')?.remove();
    const page: Page = {
      view,
      root,
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
    page.mounted = view.mount(root, room);
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

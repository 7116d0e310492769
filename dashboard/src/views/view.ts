import type { Api } from '../feeds/api';
import type { Files } from '../feeds/files';
import type { Live } from '../feeds/live';
import type { Platform } from '../feeds/platform';
import type { Prometheus } from '../feeds/prometheus';

export type ViewName = 'overview' | 'topology' | 'events' | 'load' | 'releases' | 'alerts';

/** One of the six pages of the control room. */
export interface View {
  name: ViewName;
  key: '1' | '2' | '3' | '4' | '5' | '6';
  title: string;
  /** Called once, when the view is shown first. */
  mount(root: HTMLElement, room: Room): Mounted;
}

export interface Mounted {
  /**
   * The view is shown, or is shown already and somebody changed its parameters in the address. It polls only from here
   * to `hide`.
   */
  show(parameters: URLSearchParams): void;
  hide(): void;
}

/** What a view gets from the page. */
export interface Room {
  api: Api;
  prometheus: Prometheus;
  files: Files;
  /** The one stream of events that all views share. */
  stream: Live;
  /** What is known of all parts of the platform; the header shows it on every page. */
  platform: Platform;
  clock: Clock;
  /** Says who takes what a person types into the search field (the key /) while this view is shown; '' is no search. */
  search(handler: (text: string) => void): void;
  /** Says what Escape closes in this view; false where nothing was open. */
  escape(handler: () => boolean): void;
  /** Shows a view, with parameters in the address. */
  go(view: ViewName, parameters?: Record<string, string>): void;
  /** Keeps the state of this view in the address, without showing it anew; an empty text is left out. */
  keep(parameters: Record<string, string>): void;
}

export interface Clock {
  /** Milliseconds since 1970, by the clock of the platform. */
  now(): number;
  /** Calls `handler` each second while the tab is visible; returns what ends that. */
  each(handler: () => void): () => void;
}

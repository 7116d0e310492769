/** An event of the stream, with what is known about it. */
export interface LiveEvent {
  /** Null where the stream does not say it (it does with ?meta=1). */
  channel: string | null;
  /** Its name; "gap" and "bye" are the stream's own words. */
  type: string;
  data: string;
  id: string | null;
  /** When it came, in milliseconds of the page's own clock. */
  at: number;
  /** The rest of what `event: meta` said. */
  meta: Record<string, unknown>;
}

/** Joins `event: meta`, which stands before an event where a stream was asked with ?meta=1, to the event. */
export class Naming {
  private meta: Record<string, unknown> = {};

  /** The event with its channel; null for a meta event itself. */
  take(event: { type: string; data: string; id: string | null }, at: number): LiveEvent | null {
    if (event.type === 'meta') {
      this.meta = recordOf(event.data);
      return null;
    }
    const { meta } = this;
    this.meta = {};
    const channel = typeof meta['channel'] === 'string' ? meta['channel'] : null;
    return { channel, type: event.type, data: event.data, id: event.id, at, meta };
  }
}

function recordOf(data: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

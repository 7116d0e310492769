import { bad, good, isRecord, type Result } from '../logic/result';
import { request } from './api';

/** What a run of ./sse writes for this page. */
export type FileName = 'releases' | 'topology' | 'matrix';

/** Each such file says when it was written. */
export interface Written {
  /** UTC, as ISO 8601. */
  time: string;
}

export class Files {
  /** The file under /live/. Its reader checks what it takes from it: a later version may have written it. */
  async read<T extends Written = Written & Record<string, unknown>>(name: FileName): Promise<Result<T>> {
    const outcome = await request(`/live/${name}.json`);
    const body = outcome.answer?.body;
    if (outcome.ok && isRecord(body) && typeof body['time'] === 'string') return good(body as unknown as T);
    const status = outcome.answer?.status ?? null;
    if (status === 404 || status === 200)
      return bad(`No run has written ${name}.json yet.`, 'The next ./sse up or ./sse verify writes it.', status);
    if (status === null && !outcome.ok) return bad(outcome.failure.what, outcome.failure.advice);
    return bad(`The server of this page does not give ${name}.json.`, 'See ./sse logs dashboard.', status);
  }
}

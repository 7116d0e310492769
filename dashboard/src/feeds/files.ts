import { type Contents, type FileName, misfit } from '../logic/files';
import { bad, good, type Result } from '../logic/result';
import { request } from './api';

export class Files {
  /** The file under /live/, where it has what every version of it had. */
  async read<Name extends FileName>(name: Name): Promise<Result<Contents[Name]>> {
    const outcome = await request(`/live/${name}.json`);
    const body = outcome.answer?.body;
    const status = outcome.answer?.status ?? null;
    if (status === 404) return bad(`No run has written ${name}.json yet.`, `${WRITER} it.`, status);
    if (status === 200) {
      const wrong = misfit(name, body);
      return wrong === '' ? good(body as Contents[Name]) : bad(`${wrong}.`, `${WRITER} it anew.`, status);
    }
    if (status === null && !outcome.ok) return bad(outcome.failure.what, outcome.failure.advice);
    return bad(`The server of this page does not give ${name}.json.`, 'See ./sse logs dashboard.', status);
  }
}

const WRITER = 'The next ./sse up or ./sse verify writes';

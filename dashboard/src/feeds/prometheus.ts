import { alertsOf, rangeOf, rulesOf, samplesOf, targetsOf } from '../logic/promjson';
import type { Alert, Range, Rule, Sample, Target } from '../logic/promjson';
import { TOO_LATE } from '../logic/answers';
import { bad, good, isRecord, type Result } from '../logic/result';
import { request } from './api';

export type { Alert, Range, Rule, Sample, Series, Target } from '../logic/promjson';

/** Prometheus of the stack, read only: what the server of this page passes on under /prom/. */
export class Prometheus {
  /** The values of an expression now. */
  query(expression: string): Promise<Result<Sample[]>> {
    return this.ask('query', { query: expression }, samplesOf);
  }

  /** The values of an expression over a time, on one grid that ends with it; all in seconds. A hole is null, never zero. */
  queryRange(expression: string, start: number, end: number, step: number): Promise<Result<Range>> {
    const from = end - Math.ceil((end - start) / step - 1e-6) * step;
    const parameters = { query: expression, start: String(from), end: String(end), step: String(step) };
    return this.ask('query_range', parameters, (data) => rangeOf(data, from, end, step));
  }

  /** Alerts that are pending or firing. */
  alerts(): Promise<Result<Alert[]>> {
    return this.ask('alerts', {}, alertsOf);
  }

  /** All rules, alerting and recording. */
  rules(): Promise<Result<Rule[]>> {
    return this.ask('rules', {}, rulesOf);
  }

  targets(): Promise<Result<Target[]>> {
    return this.ask('targets', { state: 'active' }, targetsOf);
  }

  private async ask<T>(
    what: string,
    parameters: Record<string, string>,
    read: (data: unknown) => T,
  ): Promise<Result<T>> {
    const outcome = await request(`/prom/api/v1/${what}?${new URLSearchParams(parameters)}`);
    const body = outcome.answer?.body;
    if (isRecord(body) && body['status'] === 'success') return good(read(body['data']));
    const status = outcome.answer?.status ?? null;
    if (isRecord(body) && typeof body['error'] === 'string')
      return bad(`Prometheus refuses the question: ${body['error']}.`, 'See ./sse logs prometheus.', status);
    if (!outcome.ok && outcome.failure === TOO_LATE)
      return bad('Prometheus does not answer within 5 s.', 'See ./sse status, then ./sse logs prometheus.');
    if (status === null && !outcome.ok) return bad(outcome.failure.what, outcome.failure.advice);
    if (status === 429) return bad('This page asks Prometheus too often.', 'Close other tabs of this page.', status);
    return bad('Prometheus does not answer.', 'See ./sse status, then ./sse logs prometheus.', status);
  }
}

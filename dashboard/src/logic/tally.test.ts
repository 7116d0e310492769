import { describe, expect, it } from 'vitest';
import { bodyOf, refusalOf } from './problems';
import { count, tally, verdict } from './tally';

describe('the tally of a resume', () => {
  const all = ['1', '2', '3', '4'];
  it.each<[seen: string[], lost: number, twice: number, disordered: number, foreign: number]>([
    [['1', '2', '3', '4'], 0, 0, 0, 0],
    [['1', '4'], 2, 0, 0, 0],
    [['1', '2', '2', '3', '4', '4', '4'], 0, 2, 0, 0],
    [['2', '1', '3', '4'], 0, 0, 1, 0],
    [['1', '2', '3', '4', 'x'], 0, 0, 0, 1],
    [[], 4, 0, 0, 0],
  ])('%j', (seen, lost, twice, disordered, foreign) => {
    const found = tally(all, seen);
    expect(found).toEqual({ published: 4, seen: 4 - lost, lost, twice, disordered, foreign });
    expect(verdict(found, 2, 'redis').good).toBe(lost + twice + disordered + foreign === 0);
  });

  it('is said in one sentence, with the place', () => {
    expect(verdict(tally(all, all), 2, 'ring').text).toBe(
      '2 of 4 events were published while the stream was cut. It resumed from the memory of the replica (ring): 0 lost, 0 twice.',
    );
    expect(verdict(tally(all, ['x']), 2, null).text).toContain('did not name: 4 lost, 0 twice, 1 from somebody else.');
  });
});

describe('a refusal', () => {
  it.each<[body: unknown, expected: unknown]>([
    [
      { detail: '0.data: Field required', errors: [{ field: '0.data', detail: 'Field required' }] },
      { general: null, fields: { data: ['Field required.'] } },
    ],
    [
      {
        detail: 'event 0, /data/n: x',
        errors: [{ field: '0.data', pointer: '/data/n', detail: "'a' is not of type 'integer'" }],
      },
      { general: null, fields: { data: ["At /n: 'a' is not of type 'integer'."] } },
    ],
    [
      {
        detail: 'x',
        errors: [
          { field: '0.channel', detail: 'a' },
          { field: '0.event', detail: 'b' },
          { field: '0.x', detail: 'c' },
        ],
      },
      { general: 'C.', fields: { channel: ['A.'], event: ['B.'] } },
    ],
    [
      { detail: 'channel orders: this credential may not publish there', channel: 'orders' },
      { general: null, fields: { channel: ['Channel orders: this credential may not publish there.'] } },
    ],
    [{ detail: 'the body is over 262144 bytes' }, { general: 'The body is over 262144 bytes.', fields: {} }],
    [{ title: 'Unauthorized' }, { general: 'Unauthorized.', fields: {} }],
    [undefined, { general: 'nothing answered', fields: {} }],
    ['<html>', { general: 'nothing answered', fields: {} }],
    [{ errors: [null, 1, {}] }, { general: 'This is not valid.', fields: {} }],
  ])('%j stands at its field', (body, expected) => {
    expect(refusalOf(body, 'nothing answered')).toEqual(expected);
  });

  it('comes before a request where the form itself tells it', () => {
    const draft = { channel: ' ', event: '', data: '{', json: true };
    const found = bodyOf(draft);
    expect(found).toMatchObject({
      refusal: {
        fields: { channel: [expect.stringContaining('Give a channel')], data: [expect.stringContaining('not JSON')] },
      },
    });
    expect(bodyOf({ ...draft, channel: 'c', data: ' ' })).toMatchObject({
      refusal: { fields: { data: [expect.stringContaining('it is empty')] } },
    });
  });

  it('is none where the form is good, and numbers stay as they were written', () => {
    const json = bodyOf({ channel: 'c', event: '', data: '{"n":12345678901234567890}', json: true });
    expect(json).toEqual({ body: '{"channel":"c","data":{"n":12345678901234567890}}' });
    const text = bodyOf({ channel: ' c ', event: 'é"', data: '{', json: false });
    expect(text).toEqual({ body: '{"channel":"c","event":"é\\"","data":"{"}' });
  });
});

it('a load test counts what each subscriber saw of what was accepted', () => {
  const accepted = Uint8Array.of(1, 1, 1, 0, 0);
  const counts = [Uint8Array.of(1, 1, 1, 0, 0), Uint8Array.of(1, 0, 2, 1, 0)];
  expect(count(accepted, counts)).toEqual({ seen: 5, lost: 1, twice: 1 });
  expect(count(accepted, [])).toEqual({ seen: 0, lost: 0, twice: 0 });
});

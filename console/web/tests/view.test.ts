/** The address bar and the queue say the same. */
import { describe, expect, test } from 'vitest';

import { address } from '../src/api/http';
import { bounds } from '../src/look/ranges';
import { ANY, decode, encode, OPEN, toFilter, toggle, type View } from '../src/pages/alerts/view';

const VIEWS: View[] = [
  OPEN, ANY,
  { ...OPEN, level: ['critical', 'high'], sort: 'risk' },
  { ...ANY, drill: 'only', q: 'dò quét & "x"', entity: '2001:db8::1', range: '1000-2000' },
  { ...OPEN, owner: ['none'], organization: ['so-yte', 'dvc'], rule: ['a,b'.replace(',', '-')], range: '24h' },
];

describe('view', () => {
  test.each(VIEWS.map((view) => [encode(view), view]))('survives the address %s', (_, view) => {
    const back = decode(encode(view));
    const sorted = (list: readonly string[]) => [...list].sort();
    expect({ ...back, state: sorted(back.state), organization: sorted(back.organization), level: sorted(back.level) })
      .toEqual({ ...(view), state: sorted((view).state), organization: sorted((view).organization), level: sorted((view).level) });
  });

  test('nonsense in the address is the open queue', () => {
    expect(decode('range=9-1&sort=DROP&drill=maybe')).toEqual(OPEN);
    expect(decode('')).toEqual(OPEN);
    expect(bounds('99999999999999999999-1')).toBeNull();
  });

  test('toggle puts in and takes out', () => {
    expect(toggle(ANY, 'level', 'high').level).toEqual(['high']);
    expect(toggle(toggle(ANY, 'level', 'high'), 'level', 'high')).toEqual(ANY);
  });

  test('becomes a question: times, scope, nobody', () => {
    const filter = toFilter({ ...OPEN, range: '1h', owner: ['none'], organization: ['dvc'] }, 10_000_000, 'so-yte');
    expect(filter).toMatchObject({ since: 10_000_000 - 3_600_000, until: null, owner: [''], organization: ['so-yte'] });
    expect(toFilter({ ...ANY, range: '5-9' }, 0, '')).toMatchObject({ since: 5, until: 9 });
  });
});

describe('address', () => {
  test('leaves out what is empty and keeps the empty value that stands for nobody', () => {
    expect(address('/alerts', { state: ['new', 'closed'], level: [], q: '', owner: [''], drill: false, cursor: null, limit: 5 }))
      .toBe('/api/v1/alerts?state=new%2Cclosed&owner=&drill=false&limit=5');
  });
});

/** Settings go through the form and come out as they were, but for what was edited. */
import { expect, test } from 'vitest';

import { edited, shown } from '../src/pages/sensors/configure';

const SETTINGS = { filter: 'not port 22', observer: 'cong-01', max_flows: 200_000, only: ['conn'] };

test('what the form does not show stays', () => {
  expect(edited(SETTINGS, shown(SETTINGS))).toEqual(SETTINGS);
});

test('an emptied field leaves the setting to the wider target', () => {
  expect(edited(SETTINGS, { ...shown(SETTINGS), filter: '  ', max_flows: null, without: [] })).toEqual({ observer: 'cong-01', only: ['conn'] });
});

test('new values are trimmed and taken', () => {
  expect(edited({}, { filter: ' tcp ', without: ['dns'], checksums: 'ignore' })).toEqual({ filter: 'tcp', without: ['dns'], checksums: 'ignore' });
});

/** Numbers and times as people here write them. */
import { describe, expect, test } from 'vitest';

import * as format from '../src/i18n/format';

const AT = Date.parse('2026-11-23T02:05:12.345Z');

describe('number', () => {
  test.each([
    [1234.5, '1.234,5', '1,234.5'], [0, '0', '0'], [100, '100', '100'], [1_000_000, '1.000.000', '1,000,000'], [-1234.56, '−1.234,6', '−1,234.6'], [-0.01, '0', '0'], [999.95, '1.000', '1,000'],
  ])('%d', (value, vietnamese, english) => {
    expect(format.number(value, 'vi')).toBe(vietnamese);
    expect(format.number(value, 'en')).toBe(english);
  });

  test('without places', () => {
    expect(format.number(100, 'vi', 0)).toBe('100');
    expect(format.number(1250.5, 'vi', 0)).toBe('1.251');
  });
});

describe('change', () => {
  test.each([[110, 100, '+10 %'], [95, 100, '−5 %'], [100, 100, '0 %'], [5, 0, null], [5, null, null], [4_000, 49, null], [75, 50, '+50 %'], [1250, 50, '×25'], [104.25, 100, '+4,3 %']])('%d after %s', (value, before, expected) => {
    expect(format.change(value, before, 'vi')).toBe(expected);
  });
});

describe('times', () => {
  test('are shown in UTC+7 whatever the zone of the computer', () => {
    expect(format.moment(AT, 'vi')).toBe('23/11/2026 09:05:12');
    expect(format.moment(AT, 'en')).toBe('23 Nov 2026 09:05:12');
    expect(format.iso(AT)).toBe('2026-11-23T02:05:12.345Z');
  });

  test('brief grows with the distance', () => {
    expect(format.brief(AT, AT, 'vi')).toBe('09:05:12');
    expect(format.brief(AT, AT + 86_400_000, 'vi')).toBe('23/11 09:05');
    expect(format.brief(AT, AT + 90 * 86_400_000, 'vi')).toBe('23/11/2026');
    expect(format.brief(AT, AT + 86_400_000, 'en')).toBe('23 Nov 09:05');
  });

  test('the day turns at midnight in Vietnam', () => {
    expect(format.day(Date.parse('2026-11-22T17:00:00Z'), 'vi')).toBe('23/11/2026');
    expect(format.day(Date.parse('2026-11-22T16:59:59Z'), 'vi')).toBe('22/11/2026');
  });

  test('an impossible time does not throw', () => {
    expect(format.iso(Number.NaN)).toBe('NaN');
    expect(format.iso(1e20)).toBe('100000000000000000000');
  });
});

describe('span', () => {
  test.each([
    [0, '0 giây', '0 s'], [-5, '0 giây', '0 s'], [59_000, '59 giây', '59 s'], [60_000, '1 phút', '1 min'], [3_600_000, '1 giờ 00 phút', '1 h 00 min'], [93_900_000, '26 giờ 05 phút', '26 h 05 min'], [400_000_000, '4 ngày 15 giờ', '4 d 15 h'],
  ])('%d', (ms, vietnamese, english) => {
    expect(format.span(ms, 'vi')).toBe(vietnamese);
    expect(format.span(ms, 'en')).toBe(english);
  });
});

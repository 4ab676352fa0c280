/** A hunt and its address say the same, a typed line becomes conditions, an exported table holds no formulas. */
import { describe, expect, test } from 'vitest';

import { cell, csv, jsonLines } from '../src/pages/hunt/export';
import { filled, total } from '../src/pages/hunt/histogram';
import { COLUMNS, decode, encode, ends, findFault, huntLink, MOST_FILTERS, namePart, readLine, START, toggleColumn, withFilter, withoutFilter, type Filter, type Hunt } from '../src/pages/hunt/query';

const is = (field: string, value: string): Filter => ({ field, operator: 'is', value });
const KNOWN = new Set(['message', 'source.ip']);

describe('hunt', () => {
  const hunts: Hunt[] = [
    START,
    { q: 'mật khẩu "a b" & x=1', filters: [is('source.ip', '2001:db8::1'), { field: 'user.name', operator: 'absent', value: '' }], range: '7d', drill: 'only', columns: ['a,b', 'c'] },
    { q: '', filters: [is('a:b', 'c:d,e'), { field: 'x', operator: 'contains', value: '%2F + ?' }], range: '1000-2000', drill: 'include', columns: [] },
  ];
  test.each(hunts.map((hunt) => [encode(hunt), hunt]))('survives the address %s', (search, hunt) => {
    expect(decode(search)).toEqual(hunt);
  });

  test('nonsense in the address is left out', () => {
    expect(decode('f=is:a&f=drop:a:b&f=:::&f=is&range=9-1&drill=maybe&columns=,,')).toEqual({ ...START, columns: [] });
    expect(decode('f=is:%E0%A4%A:b').filters).toHaveLength(1);
    expect(decode('f=exists:a:b').filters).toEqual([{ field: 'a', operator: 'exists', value: '' }]);
  });

  test('the address of the start is short', () => {
    expect(huntLink({})).toBe('/hunt');
    expect(huntLink({ filters: [is('source.ip', '10.0.0.1')] })).toBe('/hunt?f=is%3Asource.ip%3A10.0.0.1');
  });

  test('ranges end now, or where they were chosen', () => {
    expect(ends('1h', 10_000_000)).toEqual([6_400_000, 10_000_000]);
    expect(ends('5-9', 10_000_000)).toEqual([5, 9]);
  });

  test('a condition is there once, and not with its opposite', () => {
    const one = withFilter(START, is('a', 'b'));
    expect(withFilter(one, is('a', 'b')).filters).toHaveLength(1);
    expect(withFilter(one, { field: 'a', operator: 'is_not', value: 'b' }).filters).toEqual([{ field: 'a', operator: 'is_not', value: 'b' }]);
    expect(withoutFilter(one, is('a', 'b')).filters).toEqual([]);
    let many = START;
    for (let n = 0; n < MOST_FILTERS + 5; n += 1) many = withFilter(many, is('a', String(n)));
    expect(many.filters).toHaveLength(MOST_FILTERS);
  });

  test('columns come and go', () => {
    expect(toggleColumn(START, 'source.ip').columns).toEqual([...COLUMNS, 'source.ip']);
    expect(toggleColumn(START, COLUMNS[0] ?? '').columns).toEqual(COLUMNS.slice(1));
  });
});

describe('a typed line', () => {
  test.each<[string, string, Filter[]]>([
    ['powershell  enc', 'powershell enc', []],
    ['source.ip:10.0.0.1', '', [is('source.ip', '10.0.0.1')]],
    ['source.ip:2001:db8::1 x', 'x', [is('source.ip', '2001:db8::1')]],
    ['-user.name:root', '', [{ field: 'user.name', operator: 'is_not', value: 'root' }]],
    ['file.path:"C:\\a b\\c" z', 'z', [is('file.path', 'C:\\a b\\c')]],
    ['dns.question.name:*tunnel*', '', [{ field: 'dns.question.name', operator: 'contains', value: 'tunnel' }]],
    ['tls.client.ja4:* -url.domain:*', '', [{ field: 'tls.client.ja4', operator: 'exists', value: '' }, { field: 'url.domain', operator: 'absent', value: '' }]],
    ['message:hello', '', [is('message', 'hello')]],
    ['http://a.example/x 2001:db8::1 "nope:"', 'http://a.example/x 2001:db8::1 "nope:"', []],
    ['"a b', '"a b', []],
  ])('%s', (line, q, filters) => {
    expect(readLine(line, KNOWN)).toEqual({ q, filters });
  });

  test.each<[string, ReturnType<typeof findFault>]>([
    ['-nope:', { field: 'nope', at: 5 }],
    ['x  source.ip: y', { field: 'source.ip', at: 12 }],
    ['user.name:""', { field: 'user.name', at: 9 }],
    ['"nope:" http://a 10:30 source.ip:::1 -user.name:*', null],
  ])('%s is told where a value is missing', (line, fault) => {
    expect(findFault(line)).toEqual(fault);
  });

  test('the name at its end is completed', () => {
    expect(namePart('x source.i')).toBe('source.i');
    expect(namePart('-sou')).toBe('sou');
    expect(namePart('s')).toBeNull();
    expect(namePart('source.ip:10')).toBeNull();
  });
});

describe('export', () => {
  test.each([
    ['=1+1', '"\'=1+1"'], ['+1 2', '"\'+1 2"'], ['-cmd', '"\'-cmd"'], ['@SUM(A1)', '"\'@SUM(A1)"'], ['\t=1', '"\'\t=1"'], [' =1', '"\' =1"'], ['|x', '"\'|x"'],
    ['-12.5', '"-12.5"'], ['10.0.0.1', '"10.0.0.1"'], ['say "x"', '"say ""x"""'], ['sự cố', '"sự cố"'],
  ])('%j is a harmless cell', (value, expected) => {
    expect(cell(value)).toBe(expected);
  });

  test('tables have a head and marks for UTF-8, JSON lines are whole', () => {
    const events = [{ a: 'x\ny', b: [1, 2] }, { b: null }];
    expect(csv(events, ['a', 'b'])).toBe('\ufeff"a","b"\r\n"x\ny","1, 2"\r\n"","null"\r\n');
    expect(jsonLines(events)).toBe('{"a":"x\\ny","b":[1,2]}\n{"b":null}\n');
  });
});

describe('histogram', () => {
  test('empty spans are drawn, the sum is kept', () => {
    const found = { since: 1000, until: 5000, step_ms: 1000, buckets: [{ at: 2000, count: 3 }, { at: 4000, count: 1 }] };
    expect(filled(found)).toEqual([[1000, 0], [2000, 3], [3000, 0], [4000, 1]]);
    expect(total(found)).toBe(4);
  });

  test('spans on a grid of their own still meet their counts, none without a step', () => {
    expect(filled({ since: 1500, until: 3500, step_ms: 1000, buckets: [{ at: 1000, count: 2 }, { at: 3000, count: 1 }] })).toEqual([[1000, 2], [2000, 0], [3000, 1]]);
    expect(filled({ since: 1, until: 3, step_ms: 0, buckets: [] })).toEqual([]);
  });
});

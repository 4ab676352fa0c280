/** What a hunt asks, as it stands in the address bar: words, conditions on fields, a time, the columns shown. */
import { readDrill, type Drill } from '../../api/alerts';
import { bounds } from '../../look/ranges';

export const OPERATORS = ['is', 'is_not', 'contains', 'exists', 'absent'] as const;
export type Operator = (typeof OPERATORS)[number];

/** One condition; `value` is empty where the operator asks for none. */
export interface Filter {
  field: string;
  operator: Operator;
  value: string;
}

export interface Hunt {
  /** Words that all occur in the record. */
  q: string;
  filters: readonly Filter[];
  /** One of `HUNT_RANGES`, or `since-until` in milliseconds. */
  range: string;
  drill: Drill;
  columns: readonly string[];
}

/** The store answers for at most 31 days at once. */
export const HUNT_RANGES = ['1h', '24h', '7d', '30d'] as const;
const RANGE_MS: Readonly<Record<string, number>> = { '1h': 3_600_000, '24h': 86_400_000, '7d': 604_800_000, '30d': 2_592_000_000 };

/** Where nobody has chosen columns: where it was seen, by whom. What happened always stands behind them. */
export const COLUMNS: readonly string[] = ['event.dataset', 'organization.id', 'observer.name'];

export const START: Hunt = { q: '', filters: [], range: '24h', drill: 'exclude', columns: COLUMNS };

/** As many conditions as the console takes. */
export const MOST_FILTERS = 20;

/** Whether the operator compares with a value. */
export function needsValue(operator: Operator): boolean {
  return operator !== 'exists' && operator !== 'absent';
}

export function same(one: Filter, other: Filter): boolean {
  return one.field === other.field && one.operator === other.operator && one.value === other.value;
}

/** The search part of the address; nothing for the hunt that the page starts with. */
export function encode(hunt: Hunt): string {
  const parameters = new URLSearchParams();
  if (hunt.q !== '') parameters.set('q', hunt.q);
  for (const { field, operator, value } of hunt.filters) parameters.append('f', `${operator}:${encodeURIComponent(field)}:${value}`);
  if (hunt.range !== START.range) parameters.set('range', hunt.range);
  if (hunt.drill !== START.drill) parameters.set('drill', hunt.drill);
  const columns = hunt.columns.map(encodeURIComponent).join(',');
  if (columns !== COLUMNS.join(',')) parameters.set('columns', columns);
  return parameters.toString();
}

function unescape(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function readFilter(text: string): Filter | null {
  const [name = '', field = '', ...rest] = text.split(':');
  const operator = OPERATORS.find((one) => one === name);
  if (operator === undefined || field === '') return null;
  const value = rest.join(':');
  if (needsValue(operator) && value === '') return null;
  return { field: unescape(field), operator, value: needsValue(operator) ? value : '' };
}

/** The inverse of `encode`; what it does not understand it leaves at its default. */
export function decode(search: string): Hunt {
  const parameters = new URLSearchParams(search);
  const range = parameters.get('range') ?? '';
  const columns = parameters.get('columns');
  return {
    q: parameters.get('q') ?? '',
    filters: parameters.getAll('f').map(readFilter).filter((filter) => filter !== null).slice(0, MOST_FILTERS),
    range: Object.hasOwn(RANGE_MS, range) || bounds(range) !== null ? range : START.range,
    drill: readDrill(parameters.get('drill')),
    columns: columns === null ? COLUMNS : columns.split(',').filter((name) => name !== '').map(unescape),
  };
}

/** The two ends of a range; `now` closes those that are counted back from it. */
export function ends(range: string, now: number): [number, number] {
  return bounds(range) ?? [now - (RANGE_MS[range] ?? 86_400_000), now];
}

/** The hunt with one more condition; one that says the opposite of a known one takes its place. */
export function withFilter(hunt: Hunt, filter: Filter): Hunt {
  const opposite = filter.operator === 'is' ? 'is_not' : filter.operator === 'is_not' ? 'is' : null;
  const others = hunt.filters.filter((one) => !same(one, filter) && !(opposite !== null && same(one, { ...filter, operator: opposite })));
  return others.length >= MOST_FILTERS ? hunt : { ...hunt, filters: [...others, filter] };
}

export function withoutFilter(hunt: Hunt, filter: Filter): Hunt {
  return { ...hunt, filters: hunt.filters.filter((one) => !same(one, filter)) };
}

/** The hunt with a column put in or taken out. */
export function toggleColumn(hunt: Hunt, name: string): Hunt {
  const { columns } = hunt;
  return { ...hunt, columns: columns.includes(name) ? columns.filter((one) => one !== name) : [...columns, name] };
}

const FIELD = /^(-?)([\p{L}@_][\p{L}\p{N}@_.-]*):(.*)$/u;

/** Words of a typed line, each with its place; what stands in double quotes is one word. */
function split(line: string): { word: string; at: number }[] {
  return [...line.matchAll(/(?:[^\s"]|"[^"]*"?)+/g)].map((match) => ({ word: match[0], at: match.index }));
}

/** What cannot be read of a typed line: a field without a value, and where its value should stand. */
export interface Fault {
  field: string;
  at: number;
}

/** The first `field:` with nothing behind it; in double quotes it is a word. */
export function findFault(line: string): Fault | null {
  for (const { word, at } of split(line)) {
    const [, minus = '', field = '', typed] = FIELD.exec(word) ?? [];
    if (typed?.replaceAll('"', '') === '') return { field, at: at + minus.length + field.length };
  }
  return null;
}

/** The typed word as a condition; null when it is a plain word. A name is a field when it is known or has a dot. */
function condition(word: string, known: ReadonlySet<string>): Filter | null {
  const match = FIELD.exec(word);
  if (match === null) return null;
  const [, minus, field = '', typed = ''] = match;
  if (!known.has(field) && !field.includes('.')) return null;
  const value = typed.replaceAll('"', '');
  if (value === '') return null;
  if (value === '*') return { field, operator: minus === '-' ? 'absent' : 'exists', value: '' };
  const part = /^\*(.+)\*$/.exec(value)?.[1];
  if (part !== undefined && minus === '') return { field, operator: 'contains', value: part };
  return { field, operator: minus === '-' ? 'is_not' : 'is', value };
}

/**
 * A typed line taken apart: `source.ip:10.0.0.1 -user.name:root dns.question.name:*tunnel* powershell` gives three
 * conditions and one word.
 */
export function readLine(line: string, known: ReadonlySet<string>): { q: string; filters: Filter[] } {
  const filters: Filter[] = [];
  const words: string[] = [];
  for (const { word } of split(line)) {
    const found = condition(word, known);
    if (found === null) words.push(word);
    else filters.push(found);
  }
  return { q: words.join(' '), filters };
}

/** The word under the end of the line, when it may become the name of a field: what completion looks for. */
export function namePart(line: string): string | null {
  const last = /(?:^|\s)-?([\p{L}@_][\p{L}\p{N}@_.-]*)$/u.exec(line)?.[1];
  return last === undefined || last.length < 2 ? null : last;
}

/** The address of a hunt; other pages link to it. */
export function huntLink(hunt: Partial<Hunt>): string {
  const search = encode({ ...START, ...hunt });
  return search === '' ? '/hunt' : `/hunt?${search}`;
}

/** The range that reaches `margin` milliseconds over both ends. */
export function around(since: number, until: number, margin: number): string {
  return `${Math.floor(since - margin)}-${Math.ceil(until + margin)}`;
}

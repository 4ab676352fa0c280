/** What the queue shows, as it stands in the address bar: every list behind a figure or a tab is a link. */
import { NO_FILTER, readDrill, SORTS, type AlertFilter, type Drill } from '../../api/alerts';
import { bounds } from '../../look/ranges';

export const RANGES = ['1h', '24h', '7d', '30d', 'all'] as const;
const RANGE_MS: Readonly<Record<string, number>> = { '1h': 3_600_000, '24h': 86_400_000, '7d': 604_800_000, '30d': 2_592_000_000 };

export interface View {
  state: readonly string[];
  level: readonly string[];
  organization: readonly string[];
  rule: readonly string[];
  owner: readonly string[];
  q: string;
  entity: string;
  drill: Drill;
  /** One of `RANGES`, or `since-until` in milliseconds. */
  range: string;
  sort: AlertFilter['sort'];
}

export const OPEN: View = {
  state: ['new', 'acknowledged', 'in_progress'], level: [], organization: [], rule: [], owner: [], q: '', entity: '', drill: 'exclude', range: 'all', sort: 'last_seen',
};
export const ANY: View = { ...OPEN, state: [] };

const LISTS = ['state', 'level', 'organization', 'rule', 'owner'] as const;
export type ListName = (typeof LISTS)[number];

/** The search part of the address; nothing at all for the open alerts, which is where the queue starts. */
export function encode(view: View): string {
  const parameters = new URLSearchParams();
  for (const name of LISTS) {
    const values = [...view[name]].sort().join(',');
    if (values !== [...OPEN[name]].sort().join(',')) parameters.set(name, values === '' ? 'any' : values);
  }
  if (view.q !== '') parameters.set('q', view.q);
  if (view.entity !== '') parameters.set('entity', view.entity);
  if (view.drill !== OPEN.drill) parameters.set('drill', view.drill);
  if (view.range !== OPEN.range) parameters.set('range', view.range);
  if (view.sort !== OPEN.sort) parameters.set('sort', view.sort);
  return parameters.toString();
}

/** The inverse of `encode`; what it does not understand it leaves at its default. */
export function decode(search: string): View {
  const parameters = new URLSearchParams(search);
  const list = (name: ListName): readonly string[] => {
    const value = parameters.get(name);
    if (value === null) return OPEN[name];
    return value === 'any' ? [] : value.split(',').filter((part) => part !== '');
  };
  const range = parameters.get('range') ?? '';
  const sort = SORTS.find((name) => name === parameters.get('sort')) ?? 'last_seen';
  return {
    state: list('state'), level: list('level'), organization: list('organization'), rule: list('rule'), owner: list('owner'),
    q: parameters.get('q') ?? '',
    entity: parameters.get('entity') ?? '',
    drill: readDrill(parameters.get('drill')),
    range: range in RANGE_MS || bounds(range) !== null ? range : 'all',
    sort,
  };
}

/** The question to the API; `organization` is the agency of the top bar. */
export function toFilter(view: View, now: number, organization: string): AlertFilter {
  const chosen = bounds(view.range);
  const length = RANGE_MS[view.range];
  return {
    ...NO_FILTER,
    state: view.state, level: view.level, rule: view.rule, owner: view.owner.map((owner) => (owner === 'none' ? '' : owner)), q: view.q, entity: view.entity, drill: view.drill, sort: view.sort,
    organization: organization === '' ? view.organization : [organization],
    since: chosen !== null ? chosen[0] : length === undefined ? null : now - length,
    until: chosen !== null ? chosen[1] : null,
  };
}

/** The view with `value` put in or taken out of one of its lists. */
export function toggle(view: View, name: ListName, value: string): View {
  const values = view[name];
  return { ...view, [name]: values.includes(value) ? values.filter((other) => other !== value) : [...values, value] };
}

/** A view that somebody named, kept in this browser. */
export interface SavedView {
  name: string;
  search: string;
}

const KEPT_AS = 'dongson.views';

export function savedViews(): SavedView[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEPT_AS) ?? '[]');
    if (!Array.isArray(found)) return [];
    return found.filter((item): item is SavedView => typeof (item as SavedView | null)?.name === 'string' && typeof (item as SavedView).search === 'string');
  } catch {
    return [];
  }
}

export function keepViews(views: readonly SavedView[]): void {
  localStorage.setItem(KEPT_AS, JSON.stringify(views.slice(0, 20)));
}

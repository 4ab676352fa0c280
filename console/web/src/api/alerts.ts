/** The alert queue: lists, counts, one alert with its reasons, and what is done to alerts. */
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';

import { get, post } from './http';
import type { Alert, AlertList, EventsAround, Why } from './types';

export const SORTS = ['last_seen', 'risk', 'count', 'level'] as const;
export type Sort = (typeof SORTS)[number];

/** What becomes of a drill's alerts in a list: left out, alone, or among the real ones. */
export const DRILLS = ['exclude', 'only', 'include'] as const;
export type Drill = (typeof DRILLS)[number];

/** The next place of the switch between real, drill and both. */
export function nextDrill(drill: Drill): Drill {
  return DRILLS[(DRILLS.indexOf(drill) + 1) % DRILLS.length] ?? 'exclude';
}

/** As it stands in an address; what is not understood is as good as nothing. */
export function readDrill(text: string | null): Drill {
  // A view that was kept before the switch had three places says `true`.
  return text === 'true' ? 'only' : DRILLS.find((mode) => mode === text) ?? 'exclude';
}

/** Where to look for more of the same: real things among real ones, those of a drill among all. */
export function drillBeside(drill: boolean): Drill {
  return drill ? 'include' : 'exclude';
}

/** What the queue is narrowed to; an empty list is no narrowing. `owner` holds account ids, `me` or an empty text for nobody. */
export interface AlertFilter {
  state: readonly string[];
  level: readonly string[];
  organization: readonly string[];
  rule: readonly string[];
  owner: readonly string[];
  /** Words in title, entity or rule. */
  q: string;
  /** The value of one entity, or empty. */
  entity: string;
  drill: Drill;
  since: number | null;
  until: number | null;
  sort: Sort;
}

export const NO_FILTER: AlertFilter = {
  state: [], level: [], organization: [], rule: [], owner: [], q: '', entity: '', drill: 'exclude', since: null, until: null, sort: 'last_seen',
};

const PAGE = 200;

/** The list, page after page. It is read again only when the filter changes or the reader asks: it never moves by itself. */
export function useAlerts(filter: AlertFilter) {
  return useInfiniteQuery({
    queryKey: ['alerts', 'list', filter],
    queryFn: ({ pageParam, signal }) => get<AlertList>('/alerts', { ...filter, limit: PAGE, cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
}

/** The counts beside the filters. */
export function useFacets(filter: AlertFilter) {
  return useQuery({
    queryKey: ['alerts', 'facets', filter],
    queryFn: async ({ signal }) => (await get<AlertList>('/alerts', { ...filter, limit: 1, facets: true }, signal)).facets,
    placeholderData: keepPreviousData,
  });
}

/** How many drill alerts a question that leaves them out does not show; asked only where `wanted`. */
export function useDrillCount(filter: AlertFilter, wanted: boolean) {
  const only: AlertFilter = { ...filter, drill: 'only' };
  return useQuery({
    queryKey: ['alerts', 'facets', 'drill', only],
    queryFn: async ({ signal }) => (await get<AlertList>('/alerts', { ...only, limit: 1 }, signal)).total,
    enabled: wanted,
  });
}

export function useAlert(id: string) {
  return useQuery({ queryKey: ['alert', id], queryFn: ({ signal }) => get<Alert>(`/alerts/${encodeURIComponent(id)}`, {}, signal) });
}

export function useWhy(id: string) {
  return useQuery({
    queryKey: ['alert', id, 'why'],
    queryFn: ({ signal }) => get<Why>(`/alerts/${encodeURIComponent(id)}/why`, {}, signal),
    staleTime: 60_000,
  });
}

/** What happened around an alert; asked only where it is shown. */
export function useAround(id: string) {
  return useQuery({
    queryKey: ['alert', id, 'around'],
    queryFn: ({ signal }) => get<EventsAround>(`/alerts/${encodeURIComponent(id)}/around`, {}, signal),
    staleTime: 60_000,
  });
}

/** What came of an act: the changed alerts, those that it could not change, and the way back. */
export interface Done {
  changed: Alert[];
  conflicts: Alert[];
  missing: string[];
  undo: string | null;
}

export type Action =
  | { action: 'assign'; owner: string | null }
  | { action: 'acknowledge' | 'start' | 'reopen' }
  | { action: 'close'; verdict: string; reason: string };

/** How many alerts one act may touch. */
export const MOST_AT_ONCE = 500;

export const act = (alerts: readonly Alert[], action: Action): Promise<Done> =>
  post('/alerts/triage', { alerts: alerts.slice(0, MOST_AT_ONCE).map(({ id, version }) => ({ id, version })), ...action });
export const undo = (token: string): Promise<Done> => post('/alerts/undo', { undo: token });

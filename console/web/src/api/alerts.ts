/** The alert queue: lists, counts, one alert with its reasons, and what is done to alerts. */
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';

import { get, post, type Query } from './http';
import type { Alert, Counts, Page, Why } from './types';

export const SORTS = ['last_seen', 'risk', 'count', 'level'] as const;
export type Sort = (typeof SORTS)[number];

/** What the queue is narrowed to; an empty list is no narrowing. `owner` holds account ids, `me` or `none`. */
export interface AlertFilter {
  state: readonly string[];
  level: readonly string[];
  organization: readonly string[];
  rule: readonly string[];
  owner: readonly string[];
  /** Words in title, entity or rule. */
  q: string;
  /** `type:value` of one entity, or empty. */
  entity: string;
  incident: string;
  drill: boolean | null;
  since: number | null;
  until: number | null;
  sort: Sort;
}

export const NO_FILTER: AlertFilter = {
  state: [], level: [], organization: [], rule: [], owner: [], q: '', entity: '', incident: '', drill: null, since: null, until: null, sort: 'last_seen',
};

const PAGE = 200;

function query(filter: AlertFilter): Query {
  return { ...filter };
}

/** The list, page after page. It is read again only when the filter changes or the reader asks: it never moves by itself. */
export function useAlerts(filter: AlertFilter) {
  return useInfiniteQuery({
    queryKey: ['alerts', 'list', filter],
    queryFn: ({ pageParam, signal }) => get<Page<Alert>>('/alerts', { ...query(filter), limit: PAGE, cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
}

export function useCounts(filter: AlertFilter) {
  return useQuery({
    queryKey: ['alerts', 'counts', filter],
    queryFn: ({ signal }) => get<Counts>('/alerts/counts', query(filter), signal),
    placeholderData: keepPreviousData,
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

/** What a change of many alerts did: the changed ones, those that somebody else had changed, and the way back. */
export interface Changed {
  changed: Alert[];
  conflicts: Alert[];
  missing: string[];
  undo: string | null;
}

interface Named {
  id: string;
  version: number;
}

const named = (alerts: readonly Alert[]): Named[] => alerts.map(({ id, version }) => ({ id, version }));

export const assign = (alerts: readonly Alert[], owner: string | null): Promise<Changed> =>
  post('/alerts/assign', { alerts: named(alerts), owner });
export const acknowledge = (alerts: readonly Alert[]): Promise<Changed> => post('/alerts/acknowledge', { alerts: named(alerts) });
export const close = (alerts: readonly Alert[], verdict: string, reason: string): Promise<Changed> =>
  post('/alerts/close', { alerts: named(alerts), verdict, reason });
export const reopen = (alerts: readonly Alert[], reason: string): Promise<Changed> =>
  post('/alerts/reopen', { alerts: named(alerts), reason });
export const undo = (token: string): Promise<Changed> => post('/alerts/undo', { token });

/** The event store as a hunt asks it: events page after page, how many when, the most frequent values, the names of fields. */
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';

import type { Filter } from '../pages/hunt/query';
import type { Drill } from './alerts';
import { get, type Query } from './http';
import type { EventHistogram, EventList, FieldName, Fields, TopValue } from './types';

/** A question over the events of a time; the scope of the person holds besides. */
export interface HuntQuestion {
  since: number;
  until: number;
  /** An agency, or empty. */
  organization: string;
  q: string;
  filters: readonly Filter[];
  drill: Drill;
}

const PAGE = 200;

/** The parameters of a question, as the console reads them. */
export function parameters({ since, until, organization, q, filters, drill }: HuntQuestion): Query {
  return {
    since,
    until,
    organization,
    q,
    drill,
    filter: filters.length === 0 ? null : JSON.stringify(filters.map(({ field, operator, value }) => (value === '' ? { field, operator } : { field, operator, value }))),
  };
}

export function useEvents(question: HuntQuestion) {
  return useInfiniteQuery({
    queryKey: ['events', 'list', question],
    queryFn: ({ pageParam, signal }) => get<EventList>('/events', { ...parameters(question), limit: PAGE, cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
}

/** One event with every value whole: a list may have shortened some. Asked only where `wanted`. */
export function useEvent(id: string, wanted: boolean) {
  return useQuery({
    queryKey: ['events', 'one', id],
    queryFn: ({ signal }) => get<Fields>(`/events/${encodeURIComponent(id)}`, {}, signal),
    enabled: wanted && id !== '',
    staleTime: Infinity,
  });
}

export function useHistogram(question: HuntQuestion) {
  return useQuery({
    queryKey: ['events', 'histogram', question],
    queryFn: ({ signal }) => get<EventHistogram>('/events/histogram', { ...parameters(question), buckets: 120 }, signal),
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    refetchOnWindowFocus: false,
  });
}

/** The most frequent values of `field` among what the question finds. */
export function useTopValues(question: HuntQuestion, field: string) {
  return useQuery({
    queryKey: ['events', 'values', question, field],
    queryFn: async ({ signal }) => (await get<{ values: TopValue[] }>('/events/values', { ...parameters(question), field, limit: 10 }, signal)).values,
    staleTime: Infinity,
    refetchOnWindowFocus: false,
  });
}

/** The fields that we know, with what they mean: for completion. */
export function useFieldNames() {
  return useQuery({
    queryKey: ['events', 'fields'],
    queryFn: async ({ signal }) => (await get<{ fields: FieldName[] }>('/events/fields', {}, signal)).fields,
    staleTime: Infinity,
  });
}

export type { EventHistogram, FieldName } from './types';

/** Incidents: list, one, time line, and what is done to them. */
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';

import type { Drill } from './alerts';
import { get, patch, post, remove } from './http';
import type { Alert, Category, Entry, Incident, Level } from './types';

export interface IncidentFilter {
  status: readonly string[];
  organization: string;
  q: string;
  drill: Drill;
}

export function useIncidents(filter: IncidentFilter) {
  return useInfiniteQuery({
    queryKey: ['incidents', 'list', filter],
    queryFn: ({ pageParam, signal }) => get<{ incidents: Incident[]; next: string | null }>('/incidents', { ...filter, limit: 100, after: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
  });
}

export function useIncident(id: string) {
  return useQuery({ queryKey: ['incident', id], queryFn: ({ signal }) => get<Incident>(`/incidents/${encodeURIComponent(id)}`, {}, signal) });
}

export function useTimeline(id: string) {
  return useQuery({
    queryKey: ['incident', id, 'timeline'],
    queryFn: ({ signal }) => get<{ entries: Entry[]; unbroken: boolean }>(`/incidents/${encodeURIComponent(id)}/timeline`, {}, signal),
  });
}

export function useIncidentAlerts(id: string) {
  return useQuery({
    queryKey: ['incident', id, 'alerts'],
    queryFn: async ({ signal }) => (await get<{ alerts: Alert[] }>(`/incidents/${encodeURIComponent(id)}/alerts`, {}, signal)).alerts,
  });
}

export interface NewIncident {
  title: string;
  class: string;
  severity: Level;
  legal_category: Category;
}

export const raise = (alerts: readonly Alert[], incident: NewIncident): Promise<Incident> =>
  post('/incidents', { ...incident, alerts: alerts.map((alert) => alert.id) });

export type IncidentChange = Partial<Pick<Incident, 'title' | 'class' | 'severity' | 'legal_category' | 'status' | 'owner' | 'first_notice_at' | 'report_at'>>;

export const change = (incident: Incident, fields: IncidentChange): Promise<Incident> =>
  patch(`/incidents/${encodeURIComponent(incident.id)}`, { ...fields, version: incident.version });

export const comment = (id: string, text: string): Promise<Incident> => post(`/incidents/${encodeURIComponent(id)}/comments`, { text });

export const close = (incident: Incident, outcome: { verdict: string; cause: string; lesson: string }): Promise<Incident> =>
  post(`/incidents/${encodeURIComponent(incident.id)}/close`, { ...outcome, version: incident.version });

export const unlink = (incident: Incident, alert: string): Promise<void> =>
  remove(`/incidents/${encodeURIComponent(incident.id)}/alerts/${encodeURIComponent(alert)}`);

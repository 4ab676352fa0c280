/** Agencies, people, sensors, rules, sources, keys, exceptions and channels: small lists that are read whole. */
import { useQuery } from '@tanstack/react-query';

import type { Drill } from './alerts';
import { get, poll, type Query } from './http';
import type { Account, ApiKey, Asset, AuditRecord, Channel, Exception, Organization, PersonName, Rule, Sensor, Source, SourceChoices } from './types';

/** The list under `field` of the answer of `path`. */
function useList<Item>(name: string, path: string, field: string, more: { refetchInterval?: number } = {}, asked: Query = {}) {
  return useQuery({
    queryKey: [name, ...Object.values(asked)],
    queryFn: async ({ signal }) => {
      const ask = more.refetchInterval === undefined ? get : poll;
      return (await ask<Record<string, Item[] | undefined>>(path, asked, signal))[field] ?? [];
    },
    ...more,
  });
}

export const useOrganizations = () => useList<Organization>('organizations', '/agencies', 'agencies');
export const usePeople = () => useList<PersonName>('people', '/people', 'people');
export const useSensors = (refetchInterval: number, drill: Drill = 'exclude') =>
  useList<Sensor>('sensors', '/sensors', 'sensors', { refetchInterval }, drill === 'exclude' ? {} : { drill });
export const useRules = () => useList<Rule>('rules', '/rules', 'rules');
export const useSources = () => useList<Source>('sources', '/sources', 'sources');
export const useKeys = () => useList<ApiKey>('keys', '/api-keys', 'api_keys');
export const useAccounts = () => useList<Account>('accounts', '/users', 'users');
export const useExceptions = () => useList<Exception>('exceptions', '/exceptions', 'exceptions');
export const useChannels = () => useList<Channel>('channels', '/notifications', 'channels');
export const useAssets = () => useList<Asset>('assets', '/assets', 'assets');
export const useAudit = () => useList<AuditRecord>('audit', '/audit', 'entries');

/** What a source may name: the parsers and the listeners that exist. */
export function useSourceChoices() {
  return useQuery({
    queryKey: ['sources', 'choices'],
    queryFn: ({ signal }) => get<SourceChoices>('/sources', {}, signal),
    staleTime: Infinity,
  });
}

/** One rule with its whole text. */
export function useRule(id: string | null) {
  return useQuery({
    queryKey: ['rule', id],
    queryFn: ({ signal }) => get<Rule>(`/rules/${encodeURIComponent(id ?? '')}`, {}, signal),
    enabled: id !== null,
  });
}

/** The agency's name by its id; the id itself while the list is on its way or where the agency is not ours to see. */
export function useOrganizationName(): (id: string | null, language: 'vi' | 'en') => string {
  const { data } = useOrganizations();
  return (id, language) => {
    if (id === null) return '';
    const found = data?.find((organization) => organization.id === id);
    if (found === undefined) return id;
    return language === 'en' && found.name_en !== '' ? found.name_en : found.name;
  };
}

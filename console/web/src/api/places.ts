/** Agencies, people, sensors, rules, sources, keys, exceptions and channels: small lists that are read whole. */
import { useQuery } from '@tanstack/react-query';

import { get, poll } from './http';
import type { Account, ApiKey, Asset, AuditRecord, Channel, Exception, Organization, PersonName, Rule, Sensor, Source } from './types';

/** The list under `field` of the answer of `path`. */
function useList<Item>(name: string, path: string, field: string, more: { enabled?: boolean; refetchInterval?: number } = {}) {
  return useQuery({
    queryKey: [name],
    queryFn: async ({ signal }) => {
      const ask = more.refetchInterval === undefined ? get : poll;
      return (await ask<Record<string, Item[] | undefined>>(path, {}, signal))[field] ?? [];
    },
    ...more,
  });
}

export const useOrganizations = () => useList<Organization>('organizations', '/agencies', 'agencies');
export const usePeople = () => useList<PersonName>('people', '/people', 'people');
export const useSensors = (refetchInterval: number) => useList<Sensor>('sensors', '/sensors', 'sensors', { refetchInterval });
export const useRules = () => useList<Rule>('rules', '/rules', 'rules');
export const useSources = () => useList<Source>('sources', '/sources', 'sources');
export const useKeys = () => useList<ApiKey>('keys', '/api-keys', 'api_keys');
export const useAccounts = () => useList<Account>('accounts', '/users', 'users');
export const useExceptions = () => useList<Exception>('exceptions', '/exceptions', 'exceptions');
export const useChannels = () => useList<Channel>('channels', '/notifications', 'channels');
export const useAssets = () => useList<Asset>('assets', '/assets', 'assets');
export const useAudit = () => useList<AuditRecord>('audit', '/audit', 'entries');

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

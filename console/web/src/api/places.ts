/** Agencies, people, sensors, rules, sources, keys, exceptions and channels: small lists that are read whole. */
import { useQuery } from '@tanstack/react-query';

import { get } from './http';
import type { Account, ApiKey, AuditRecord, Channel, Exception, Organization, Page, Rule, Sensor, Source } from './types';

function useList<Item>(name: string, path: string, refetchMs?: number) {
  return useQuery({
    queryKey: [name],
    queryFn: async ({ signal }) => (await get<Page<Item>>(path, { limit: 1000 }, signal)).items,
    ...(refetchMs === undefined ? {} : { refetchInterval: refetchMs }),
  });
}

export const useOrganizations = () => useList<Organization>('organizations', '/agencies');
export const useSensors = (refetchMs?: number) => useList<Sensor>('sensors', '/sensors', refetchMs);
export const useRules = () => useList<Rule>('rules', '/rules');
export const useSources = () => useList<Source>('sources', '/sources');
export const useKeys = () => useList<ApiKey>('keys', '/keys');
export const useAccounts = () => useList<Account>('accounts', '/users');
export const useExceptions = () => useList<Exception>('exceptions', '/exceptions');
export const useChannels = () => useList<Channel>('channels', '/notifications');
export const useAudit = () => useList<AuditRecord>('audit', '/audit');

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

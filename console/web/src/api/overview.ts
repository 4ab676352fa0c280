/** The figures of the first page. */
import { keepPreviousData, useQuery } from '@tanstack/react-query';

import type { Drill } from './alerts';
import { poll } from './http';
import type { Overview } from './types';

export function useOverview(organization: string, drill: Drill, live: boolean) {
  return useQuery({
    queryKey: ['overview', organization, drill],
    queryFn: ({ signal }) => poll<Overview>('/overview', { organization, drill }, signal),
    refetchInterval: live ? 15_000 : false,
    placeholderData: keepPreviousData,
  });
}

/** The figures of the first page. */
import { keepPreviousData, useQuery } from '@tanstack/react-query';

import { poll } from './http';
import type { Overview } from './types';

export function useOverview(organization: string, live: boolean) {
  return useQuery({
    queryKey: ['overview', organization],
    queryFn: ({ signal }) => poll<Overview>('/overview', { organization }, signal),
    refetchInterval: live ? 15_000 : false,
    placeholderData: keepPreviousData,
  });
}

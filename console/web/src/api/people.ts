/** Names of people by their account id: the page shows names, the console speaks of ids. */
import { useCallback } from 'react';

import { useWords } from '../i18n';
import { usePeople } from './places';
import { useSession } from './session';

const UUID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/;

/** The name of an account; the start of its id where the person may not see the list of people. */
export function usePersonName(): (id: string | null) => string {
  const { t } = useWords();
  const { me } = useSession();
  const { data } = usePeople();
  return useCallback((id: string | null) => {
    if (id === null || id === '') return t('common.unassigned');
    const account = data?.find((one) => one.id === id) ?? (me?.id === id ? me : undefined);
    if (account === undefined) return UUID.test(id) ? id.slice(0, 8) : id;
    return account.full_name === '' ? account.login : account.full_name;
  }, [data, me, t]);
}

/** The administration, one tab for each thing that is administered; analysts find their exceptions here. */
import type { ReactNode } from 'react';
import { Link, useParams } from 'react-router';

import { useSession } from '../../api/session';
import { useWords, type Key } from '../../i18n';
import { Empty } from '../../look/States';
import { Agencies } from './Agencies';
import { Assets } from './Assets';
import { Audit } from './Audit';
import { Channels } from './Channels';
import { Exceptions } from './Exceptions';
import { Keys } from './Keys';
import { Sources } from './Sources';
import { Users } from './Users';

const TABS: readonly { id: string; word: Key; page: ReactNode; analysts?: true }[] = [
  { id: 'users', word: 'admin.users', page: <Users /> },
  { id: 'agencies', word: 'admin.agencies', page: <Agencies /> },
  { id: 'assets', word: 'admin.assets', page: <Assets /> },
  { id: 'sources', word: 'admin.sources', page: <Sources /> },
  { id: 'keys', word: 'admin.keys', page: <Keys /> },
  { id: 'exceptions', word: 'admin.exceptions', page: <Exceptions />, analysts: true },
  { id: 'channels', word: 'admin.channels', page: <Channels /> },
  { id: 'audit', word: 'admin.audit', page: <Audit /> },
];

export default function AdminPage() {
  const { t } = useWords();
  const { tab } = useParams();
  const { isAdministrator } = useSession();
  const tabs = TABS.filter((one) => isAdministrator || one.analysts === true);
  const shown = tabs.find((one) => one.id === tab);
  return (
    <div className="page fixed">
      <div className="views" role="tablist">
        {tabs.map((one) => (
          <Link key={one.id} to={`/admin/${one.id}`} role="tab" aria-selected={one.id === tab} className={`view ${one.id === tab ? 'active' : ''}`} style={{ textDecoration: 'none', alignItems: 'center' }}>{t(one.word)}</Link>
        ))}
      </div>
      <div className="page">{shown?.page ?? <Empty text={t('error.notFound')} />}</div>
    </div>
  );
}

/** The frame of every page: rail, top bar, status line, the keys that work everywhere. */
import { useState, type ReactNode } from 'react';
import { NavLink, useNavigate } from 'react-router';

import { useLive } from '../api/live';
import { useSession } from '../api/session';
import { useWords, type Key } from '../i18n';
import { Age } from '../look/Age';
import { Icon, type IconName } from '../look/icons';
import { STAR } from '../look/star';
import { KeysHelp } from './KeysHelp';
import { StatusLine } from './StatusLine';
import { TopBar } from './TopBar';
import { useKeys, type Keys } from './keyboard';

interface Place {
  path: string;
  word: Key;
  icon: IconName;
  key: string;
  /** Not for those who only read. */
  writers?: true;
}

/** The pages that have an API behind them, in the order of the rail. */
export const PLACES: readonly Place[] = [
  { path: '/', word: 'nav.overview', icon: 'overview', key: 'o' },
  { path: '/alerts', word: 'nav.alerts', icon: 'alerts', key: 'a' },
  { path: '/incidents', word: 'nav.incidents', icon: 'incidents', key: 'i' },
  { path: '/hunt', word: 'nav.hunt', icon: 'hunt', key: 'h' },
  { path: '/sensors', word: 'nav.sensors', icon: 'sensors', key: 's' },
  { path: '/rules', word: 'nav.rules', icon: 'rules', key: 'r' },
  { path: '/admin', word: 'nav.admin', icon: 'admin', key: 'q', writers: true },
];

export function Shell({ children }: { children: ReactNode }) {
  const { t } = useWords();
  const { mayWrite } = useSession();
  const { line, heardAt } = useLive();
  const navigate = useNavigate();
  const [help, setHelp] = useState(false);
  const places = PLACES.filter((place) => place.writers === undefined || mayWrite);

  const keys: Record<string, Keys[string]> = {
    '?': () => setHelp(true),
    '/': () => {
      const field = document.querySelector<HTMLInputElement>('[data-search="page"] input, input[data-search="page"]')
        ?? document.querySelector<HTMLInputElement>('[data-search="shell"] input, input[data-search="shell"]');
      field?.focus();
      field?.select();
    },
  };
  for (const place of places) keys[`g ${place.key}`] = () => void navigate(place.path);
  useKeys(keys);

  return (
    <div className="shell">
      <a className="skip" href="#main">{t('common.skip')}</a>
      <nav className="rail" aria-label={t('app.name')}>
        <div className="brand">
          <svg width="24" height="24" viewBox="0 0 24 24" aria-hidden="true"><path d={STAR} fill="currentColor" /></svg>
          <span className="word">{t('app.name')}</span>
        </div>
        {places.map((place) => (
          <NavLink key={place.path} to={place.path} end={place.path === '/'} className="item" title={t(place.word)} aria-label={t(place.word)}>
            <Icon name={place.icon} size={20} />
            <span className="word">{t(place.word)}</span>
          </NavLink>
        ))}
      </nav>
      <TopBar showKeys={() => setHelp(true)} />
      <main className="main" id="main">
        {line === 'lost' && (
          <div className="offline">
            <span role="status">{t('shell.offline')}</span>
            {heardAt !== null && <span><Age word="shell.offlineSince" at={heardAt} /></span>}
          </div>
        )}
        {children}
      </main>
      <StatusLine />
      {help && <KeysHelp places={places} close={() => setHelp(false)} />}
    </div>
  );
}

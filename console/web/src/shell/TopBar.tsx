/** The bar over the page: agency, search, clock, live or paused, language, shade, person. */
import { Button, Dropdown, Input, Select } from 'antd';
import { useEffect, useState } from 'react';
import { useLocation, useNavigate } from 'react-router';

import { useLive } from '../api/live';
import { useOrganizations } from '../api/places';
import { useSession } from '../api/session';
import { useWords } from '../i18n';
import { clock, day } from '../i18n/format';
import { Icon } from '../look/icons';
import { Outside } from '../look/Text';
import { visible } from '../look/visible';
import { useShade } from '../look/theme';
import { PasswordDialogue } from '../pages/signin/ChangePassword';
import { ANY, encode } from '../pages/alerts/view';
import { useScope } from './scope';

function Clock() {
  const { language, t } = useWords();
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return <time className="clock" data-test="clock">{day(now, language)} {clock(now)} <span className="faint">{t('shell.utc7')}</span></time>;
}

function LiveSwitch() {
  const { t } = useWords();
  const { line, toggle } = useLive();
  const word = line === 'live' ? t('shell.live') : line === 'paused' ? t('shell.paused') : t('shell.reconnecting');
  const dot = line === 'live' ? 'dot' : line === 'paused' ? 'dot hollow' : 'dot off';
  return (
    <Button type="text" onClick={toggle} data-test="live" title={line === 'paused' ? t('shell.resume') : t('shell.pause')}>
      <span className="live"><i className={dot} />{word}</span>
    </Button>
  );
}

function Agency() {
  const { t, pick } = useWords();
  const { organization, choose } = useScope();
  const { data } = useOrganizations();
  return (
    <Select
      value={organization}
      onChange={choose}
      style={{ width: 220 }}
      aria-label={t('shell.scope')}
      showSearch={{ optionFilterProp: 'label' }}
      options={[
        { value: '', label: t('shell.allAgencies') },
        ...(data ?? []).map((item) => ({ value: item.id, label: pick(item.name, item.name_en) })),
      ]}
    />
  );
}

function Search() {
  const { t } = useWords();
  const navigate = useNavigate();
  const { pathname } = useLocation();
  const [text, setText] = useState('');
  if (pathname === '/alerts' || pathname === '/hunt') return null;
  return (
    <Input
      data-search="shell"
      value={text}
      onChange={(event) => setText(event.target.value)}
      onPressEnter={() => {
        void navigate(`/alerts?${encode({ ...ANY, drill: 'include', q: text.trim() })}`);
        setText('');
      }}
      placeholder={t('shell.search')}
      aria-label={t('shell.search')}
      suffix={<kbd className="kbd">/</kbd>}
      style={{ width: 260 }}
    />
  );
}

export function TopBar({ showKeys }: { showKeys: () => void }) {
  const { t, language } = useWords();
  const { me, signOut, chooseLanguage } = useSession();
  const { shade, setShade } = useShade();
  const [password, setPassword] = useState(false);
  const other = shade === 'dark' ? 'light' : 'dark';
  const name = me?.full_name === undefined || me.full_name === '' ? (me?.login ?? '') : me.full_name;
  return (
    <header className="top">
      <Agency />
      <Search />
      <span className="grow" />
      <Clock />
      <LiveSwitch />
      <Button type="text" data-test="language" title={t('shell.languageHint')} onClick={() => chooseLanguage(language === 'vi' ? 'en' : 'vi')}>{t('shell.language')}</Button>
      <Button type="text" data-test="theme" aria-label={t(`shell.${other}`)} title={t(`shell.${other}`)} icon={<Icon name={other} />} onClick={() => setShade(other)} />
      <Button type="text" aria-label={t('shell.keys')} title={`${t('shell.keys')} (?)`} icon={<Icon name="keys" />} onClick={showKeys} />
      <Dropdown
        trigger={['click']}
        menu={{
          items: [
            { key: 'role', disabled: true, label: t(`role.${me?.role ?? 'agency_viewer'}`) },
            { key: 'password', label: t('shell.changePassword'), onClick: () => setPassword(true) },
            { key: 'out', label: t('shell.signOut'), onClick: () => void signOut() },
          ],
        }}
      >
        <Button type="text" data-test="account" aria-label={`${t('shell.account')}: ${visible(name)}`}>
          <span className="live"><Icon name="person" /><span className="cut" style={{ maxWidth: 140 }}><Outside text={name} /></span></span>
        </Button>
      </Dropdown>
      {password && <PasswordDialogue close={() => setPassword(false)} />}
    </header>
  );
}

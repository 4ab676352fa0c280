/** The incidents, the nearest deadline in sight. */
import { Button, Input } from 'antd';
import { useState } from 'react';
import { Link, useNavigate } from 'react-router';

import { useIncidents } from '../../api/incidents';
import { usePersonName } from '../../api/people';
import { useOrganizationName } from '../../api/places';
import type { Incident } from '../../api/types';
import { useWords } from '../../i18n';
import { DrillMark, DrillSwitch, useDrill } from '../../look/DrillSwitch';
import { Severity } from '../../look/Severity';
import { Empty, Loaded } from '../../look/States';
import { Cut, Time } from '../../look/Text';
import { useKeys } from '../../shell/keyboard';
import { useScope } from '../../shell/scope';
import { nearest } from '../incident/clocks';
import { ClockWord } from '../incident/Clocks';

const OPEN = ['open', 'in_progress', 'contained', 'resolved'];
const TABS = [['incidents.open', OPEN], ['incidents.closedTab', ['closed']], ['incidents.all', []]] as const;

function Rows({ incidents, marked }: { incidents: readonly Incident[]; marked: boolean }) {
  const { t, name, language } = useWords();
  const agency = useOrganizationName();
  const person = usePersonName();
  const navigate = useNavigate();
  return (
    <table className="list fixed">
      <thead>
        <tr>
          <th style={{ width: 124 }}>{t('incidents.number')}</th>
          <th style={{ width: 126 }}>{t('incidents.severity')}</th>
          <th>{t('incidents.name')}</th>
          <th style={{ width: '12%' }}>{t('incidents.class')}</th>
          <th style={{ width: '11%' }}>{t('incidents.agency')}</th>
          <th style={{ width: 116 }}>{t('incidents.status')}</th>
          <th style={{ width: 132 }}>{t('incidents.owner')}</th>
          <th style={{ width: 104 }}>{t('incidents.detected')}</th>
          <th className="number" style={{ width: 136 }}>{t('incidents.deadline')}</th>
        </tr>
      </thead>
      <tbody>
        {incidents.map((incident) => {
          const to = `/incidents/${encodeURIComponent(incident.id)}`;
          return (
            <tr key={incident.id} className="go" onClick={() => void navigate(to)}>
              <td className="mono"><Link to={to}>{incident.number}</Link></td>
              <td><Severity level={incident.severity} /></td>
              <td><span className="row">{marked && incident.drill && <DrillMark />}<span className="grow"><Cut text={incident.title} /></span></span></td>
              <td><Cut text={name('class', incident.class)} /></td>
              <td><Cut text={incident.organization === null ? t('incident.province') : agency(incident.organization, language)} /></td>
              <td>{t(`status.${incident.status}`)}</td>
              <td><Cut text={person(incident.owner)} className={incident.owner === null ? 'faint' : ''} /></td>
              <td><Time at={incident.detected_at} brief /></td>
              <td className="number"><ClockWord clock={nearest(incident)} /></td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

export default function IncidentsPage() {
  const { t } = useWords();
  const { organization } = useScope();
  const [tab, setTab] = useState(0);
  const [q, setQ] = useState('');
  const { drill, setDrill, next } = useDrill();
  useKeys({ d: next });
  const list = useIncidents({ status: TABS[tab]?.[1] ?? [], organization, q, drill });
  return (
    <div className="page fixed">
      <div className="views">
        <div className="tabs" role="tablist">
          {TABS.map(([word], index) => (
            <button key={word} type="button" role="tab" aria-selected={tab === index} className={`plain view ${tab === index ? 'active' : ''}`} onClick={() => setTab(index)}>{t(word)}</button>
          ))}
        </div>
        <span className="grow" />
        <div className="row"><DrillSwitch drill={drill} choose={setDrill} /></div>
        <Input data-search="page" size="small" allowClear placeholder={t('common.search')} aria-label={t('common.search')} style={{ width: 230, alignSelf: 'center' }} value={q} onChange={(event) => setQ(event.target.value)} />
      </div>
      <div style={{ overflow: 'auto', flex: '1 1 0' }}>
        <Loaded query={list} lines={12}>
          {(data) => {
            const incidents = data.pages.flatMap((page) => page.incidents);
            if (incidents.length === 0) return <Empty text={t('incidents.empty')}><Link to="/alerts">{t('nav.alerts')}</Link></Empty>;
            return (
              <>
                <Rows incidents={incidents} marked={drill === 'include'} />
                {list.hasNextPage && <div className="empty"><Button loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t('common.loadMore')}</Button></div>}
              </>
            );
          }}
        </Loaded>
      </div>
    </div>
  );
}

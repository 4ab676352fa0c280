/** One incident: what it is, its clocks, its course, its alerts, its end. */
import { useQueryClient } from '@tanstack/react-query';
import { App, Button, Tabs } from 'antd';
import { useRef, useState } from 'react';
import { Link, useParams } from 'react-router';

import * as api from '../../api/incidents';
import { ApiError } from '../../api/http';
import { useOrganizationName } from '../../api/places';
import { useSession } from '../../api/session';
import type { Incident } from '../../api/types';
import { useWords } from '../../i18n';
import { Panel } from '../../look/Panel';
import { Severity } from '../../look/Severity';
import { Loaded, useFailure } from '../../look/States';
import { Lines, Outside, Time } from '../../look/Text';
import { useKeys } from '../../shell/keyboard';
import { CloseIncident } from './CloseIncident';
import { Clocks } from './Clocks';
import { LinkedAlerts } from './LinkedAlerts';
import { Packets } from './Packets';
import { Progress } from './Progress';
import { Settings } from './Settings';

/** Sends a change, takes the answer in, and tells what went wrong. */
function useChange(incident: Incident): (fields: api.IncidentChange) => Promise<void> {
  const { t } = useWords();
  const { message } = App.useApp();
  const queries = useQueryClient();
  const words = useFailure();
  return async (fields) => {
    try {
      queries.setQueryData(['incident', incident.id], await api.change(incident, fields));
      void queries.invalidateQueries({ queryKey: ['incident', incident.id, 'timeline'] });
      void queries.invalidateQueries({ queryKey: ['incidents'] });
      void queries.invalidateQueries({ queryKey: ['overview'] });
    } catch (error) {
      const conflict = error instanceof ApiError && error.code === 'stale';
      void message.error(conflict ? t('error.conflict') : words(error), 6);
      void queries.invalidateQueries({ queryKey: ['incident', incident.id] });
    }
  };
}

function Outcome({ incident }: { incident: Incident }) {
  const { t, name } = useWords();
  return (
    <Panel title={t('incident.outcome')}>
      <dl className="facts" data-test="outcome">
        <dt>{t('incident.verdict')}</dt><dd>{name('verdict', incident.verdict ?? '')}</dd>
        <dt>{t('incident.cause')}</dt><dd style={{ whiteSpace: 'pre-wrap' }}><Lines text={incident.cause ?? ''} /></dd>
        <dt>{t('incident.lesson')}</dt><dd style={{ whiteSpace: 'pre-wrap' }}><Lines text={incident.lesson ?? ''} /></dd>
        <dt>{t('status.closed')}</dt><dd><Time at={incident.closed_at} /></dd>
      </dl>
    </Panel>
  );
}

function One({ incident }: { incident: Incident }) {
  const { t, language } = useWords();
  const { me, mayWrite } = useSession();
  const agency = useOrganizationName();
  const change = useChange(incident);
  const alerts = api.useIncidentAlerts(incident.id);
  const [closing, setClosing] = useState(false);
  const box = useRef<HTMLTextAreaElement | null>(null);
  const closed = incident.status === 'closed';
  const acts = mayWrite && !closed;
  useKeys({
    c: () => box.current?.focus(),
    e: () => {
      if (acts) setClosing(true);
    },
    a: () => {
      if (acts && me) void change({ owner: me.id });
    },
  });
  const linked = alerts.data ?? [];
  return (
    <div className="page">
      <div className="incident-head">
        <div className="head" style={{ alignItems: 'center' }}>
          <Link to="/incidents" className="soft">{t('nav.incidents')}</Link>
          <span className="faint">/</span>
          <span className="mono" data-test="incident-number">{incident.number}</span>
          <Severity level={incident.severity} />
          <h1 className="grow" style={{ minWidth: 280 }}><Outside text={incident.title} /></h1>
          {incident.drill && <span className="tag drill">{t('common.drill')}</span>}
          <span className="soft">{incident.organization === null ? t('incident.province') : agency(incident.organization, language)}</span>
          {acts && incident.owner !== me?.id && <Button onClick={() => void change({ owner: me?.id ?? null })}>{t('incident.takeOver')}</Button>}
          {acts && <Button type="primary" onClick={() => setClosing(true)}>{t('incident.close')}</Button>}
          {mayWrite && closed && <Button onClick={() => void change({ status: 'in_progress' })}>{t('incident.reopen')}</Button>}
        </div>
        <section className="panel"><div className="body stack" style={{ gap: 16 }}>
          <Settings incident={incident} change={acts ? change : null} />
          <Clocks
            incident={incident}
            markSent={acts ? (kind) => void change(kind === 'report' ? { report_at: Date.now() } : { first_notice_at: Date.now() }) : null}
          />
        </div></section>
      </div>
      {closed && <Outcome incident={incident} />}
      <Tabs
        items={[
          { key: 'progress', label: t('incident.progress'), children: <Progress incident={incident} box={box} /> },
          { key: 'alerts', label: t('incident.alertsTab', { n: linked.length }), children: <LinkedAlerts incident={incident} alerts={linked} /> },
          { key: 'packets', label: t('packets.tab'), children: <Packets incident={incident} /> },
        ]}
      />
      {closing && <CloseIncident incident={incident} alerts={linked.length} close={() => setClosing(false)} />}
    </div>
  );
}

export default function IncidentPage() {
  const { id = '' } = useParams();
  const incident = api.useIncident(id);
  return <Loaded query={incident} lines={14}>{(found) => <One key={found.id} incident={found} />}</Loaded>;
}

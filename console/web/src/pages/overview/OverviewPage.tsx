/** The first page and the wall: six figures, the course of the day, where it burns, what is due. Every figure is a link. */
import { lazy, Suspense } from 'react';
import { Link, useNavigate } from 'react-router';

import { useLive } from '../../api/live';
import { useOverview } from '../../api/overview';
import { usePersonName } from '../../api/people';
import { useOrganizationName } from '../../api/places';
import type { Figure, Overview } from '../../api/types';
import { useWords, type Key } from '../../i18n';
import { Panel } from '../../look/Panel';
import { Severity } from '../../look/Severity';
import { Empty, Loaded, Skeleton } from '../../look/States';
import { Cut, Time } from '../../look/Text';
import { useScope } from '../../shell/scope';
import { ANY, encode, OPEN } from '../alerts/view';
import { nearest } from '../incident/clocks';
import { ClockWord } from '../incident/Clocks';

const Series = lazy(() => import('./Series'));

function FigureBox(props: { word: Key; figure: Figure; to: string; under: string; change?: boolean; alarm?: boolean }) {
  const { t, number, change } = useWords();
  const { value, before } = props.figure;
  const hint = before === null ? t('overview.noBefore') : t('overview.sameHours', { n: before });
  return (
    <Link to={props.to} className="figure" data-test="figure">
      <span className="label cut">{t(props.word)}</span>
      <span className={`value ${props.alarm === true && value > 0 ? 'critical' : ''}`}>{number(value, 0)}</span>
      <span className="under" title={hint}>
        {props.change !== false && <span>{change(value, before)}</span>}
        <span className="cut">{props.under}</span>
      </span>
    </Link>
  );
}

function Figures({ overview }: { overview: Overview }) {
  const { t } = useWords();
  const { figures, coverage, since, until } = overview;
  const covered = t('overview.coverage', { covered: coverage.online, all: coverage.all });
  const day = encode({ ...ANY, range: `${since}-${until}` });
  return (
    <section className="panel">
      <div className="figures">
        <FigureBox word="overview.events" figure={figures.events} to={`/alerts?${day}`} under={covered} />
        <FigureBox word="overview.alerts" figure={figures.alerts} to={`/alerts?${day}`} under={covered} />
        <FigureBox word="overview.severeAlerts" figure={figures.severe} to={`/alerts?${encode({ ...ANY, range: `${since}-${until}`, level: ['critical', 'high'] })}`} under={covered} />
        <FigureBox word="overview.newAlerts" figure={figures.waiting} to={`/alerts?${encode({ ...OPEN, state: ['new'] })}`} under={t('overview.now')} change={false} />
        <FigureBox word="overview.openIncidents" figure={figures.incidents} to="/incidents" under={t('overview.overdueCount', { n: figures.overdue.value })} change={false} alarm={figures.overdue.value > 0} />
        <FigureBox word="overview.sensors" figure={{ value: coverage.online, before: null }} to="/sensors" under={covered} change={false} />
      </div>
    </section>
  );
}

function Agencies({ overview }: { overview: Overview }) {
  const { t, number, language } = useWords();
  const agency = useOrganizationName();
  const navigate = useNavigate();
  const most = Math.max(1, ...overview.agencies.map((row) => row.alerts));
  if (overview.agencies.length === 0) return <Empty text={t('overview.noAlerts')} />;
  return (
    <table className="list fixed">
      <thead><tr><th>{t('overview.agency')}</th><th style={{ width: '34%' }}>{t('overview.alerts')}</th><th className="number" style={{ width: 72 }} /><th className="number" style={{ width: 72 }}>{t('overview.risk')}</th></tr></thead>
      <tbody>
        {overview.agencies.slice(0, 10).map((row) => (
          <tr key={row.organization} className="go" onClick={() => void navigate(`/alerts?${encode({ ...OPEN, organization: [row.organization] })}`)}>
            <td><Link to={`/alerts?${encode({ ...OPEN, organization: [row.organization] })}`} style={{ color: 'inherit' }}><Cut text={agency(row.organization, language)} /></Link></td>
            <td>
              <div className="bars" style={{ width: `${(row.alerts / most) * 100}%`, minWidth: 4 }} title={t('overview.severeOf', { n: row.severe, all: row.alerts })}>
                <i className="high" style={{ width: `${(row.severe / Math.max(1, row.alerts)) * 100}%` }} />
                <i className="informational" style={{ flex: 1 }} />
              </div>
            </td>
            <td className="number">{number(row.alerts)}</td>
            <td className="number">{number(row.risk)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Newest({ overview }: { overview: Overview }) {
  const { t, pick, language } = useWords();
  const agency = useOrganizationName();
  const navigate = useNavigate();
  if (overview.newest.length === 0) return <Empty text={t('overview.noCritical')} />;
  return (
    <table className="list fixed">
      <tbody>
        {overview.newest.slice(0, 8).map((alert) => (
          <tr key={alert.id} className="go" onClick={() => void navigate(`/alerts/${encodeURIComponent(alert.id)}`)}>
            <td style={{ width: 36 }}><Severity level={alert.level} wordless /></td>
            <td style={{ width: 92 }}><Time at={alert.last_seen} brief /></td>
            <td><Link to={`/alerts/${encodeURIComponent(alert.id)}`} style={{ color: 'inherit' }}><Cut text={pick(alert.title_vi, alert.title_en)} /></Link></td>
            <td style={{ width: '26%' }}><Cut text={agency(alert.organization, language)} className="soft" /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Incidents({ overview }: { overview: Overview }) {
  const { t } = useWords();
  const person = usePersonName();
  const navigate = useNavigate();
  if (overview.incidents.length === 0) return <Empty text={t('overview.noIncidents')} />;
  return (
    <table className="list fixed">
      <tbody>
        {overview.incidents.slice(0, 8).map((incident) => (
          <tr key={incident.id} className="go" onClick={() => void navigate(`/incidents/${encodeURIComponent(incident.id)}`)}>
            <td style={{ width: 36 }}><Severity level={incident.severity} wordless /></td>
            <td style={{ width: 116 }} className="mono">{incident.number}</td>
            <td><Link to={`/incidents/${encodeURIComponent(incident.id)}`} style={{ color: 'inherit' }}><Cut text={incident.title} /></Link></td>
            <td style={{ width: 110 }}><Cut text={person(incident.owner)} className="soft" /></td>
            <td style={{ width: 132 }} className="number"><ClockWord clock={nearest(incident)} /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Rules({ overview }: { overview: Overview }) {
  const { t, number, pick } = useWords();
  const navigate = useNavigate();
  const most = Math.max(1, ...overview.rules.map((rule) => rule.alerts));
  if (overview.rules.length === 0) return <Empty text={t('overview.noAlerts')} />;
  return (
    <table className="list fixed">
      <tbody>
        {overview.rules.slice(0, 8).map((rule) => {
          const to = `/alerts?${encode({ ...ANY, rule: [rule.rule_id], range: `${overview.since}-${overview.until}` })}`;
          return (
            <tr key={rule.rule_id} className="go" onClick={() => void navigate(to)}>
              <td><Link to={to} style={{ color: 'inherit' }}><Cut text={pick(rule.title_vi, rule.title_en) || rule.rule_id} /></Link></td>
              <td style={{ width: '24%' }}><div className="bar" style={{ width: `${(rule.alerts / most) * 100}%` }} /></td>
              <td className="number" style={{ width: 72 }}>{number(rule.alerts)}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

export default function OverviewPage() {
  const { t } = useWords();
  const { organization } = useScope();
  const { line } = useLive();
  const overview = useOverview(organization, line !== 'paused');
  const more = (to: string) => <Link to={to}>{t('common.more')}</Link>;
  return (
    <div className="page">
      <div className="head"><h1>{t('overview.title')}</h1><span className="soft">{t('overview.window')}</span></div>
      <Loaded query={overview} lines={16}>
        {(found) => (
          <>
            <Figures overview={found} />
            <div className="overview">
              <Panel title={t('overview.series')} className="wide">
                <Suspense fallback={<Skeleton lines={10} />}><Series overview={found} /></Suspense>
              </Panel>
              <Panel title={t('overview.newest')} flush extra={more(`/alerts?${encode({ ...OPEN, level: ['critical', 'high'], sort: 'risk' })}`)}><Newest overview={found} /></Panel>
              <Panel title={t('overview.incidents')} flush extra={more('/incidents')}><Incidents overview={found} /></Panel>
              <Panel title={t('overview.agencies')} flush extra={more('/alerts')}><Agencies overview={found} /></Panel>
              <Panel title={t('overview.rules')} flush extra={more('/rules')}><Rules overview={found} /></Panel>
            </div>
          </>
        )}
      </Loaded>
    </div>
  );
}

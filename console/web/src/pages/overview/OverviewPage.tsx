/** The first page and the wall: six figures, the course of the day, where it burns, what is due. Every figure is a link. */
import { Button } from 'antd';
import { lazy, Suspense, useMemo } from 'react';
import { Link, useNavigate } from 'react-router';

import { NO_FILTER, useDrillCount, type Drill } from '../../api/alerts';
import { useLive } from '../../api/live';
import { useOverview } from '../../api/overview';
import { useOrganizationName } from '../../api/places';
import type { Figure, Overview } from '../../api/types';
import { useWords, type Key } from '../../i18n';
import { DrillSwitch, useDrill } from '../../look/DrillSwitch';
import { Panel } from '../../look/Panel';
import { Severity } from '../../look/Severity';
import { Empty, Loaded, Skeleton } from '../../look/States';
import { Cut, Time } from '../../look/Text';
import { useKeys } from '../../shell/keyboard';
import { useScope } from '../../shell/scope';
import { entityText } from '../alert/record';
import { ANY, encode, OPEN } from '../alerts/view';
import { huntLink } from '../hunt/query';
import { ClockWord } from '../incident/Clocks';

const Series = lazy(() => import('./Series'));

function FigureBox(props: { word: Key; figure: Figure; to: string; under: string; compared?: boolean }) {
  const { t, number, change } = useWords();
  const { value, before } = props.figure;
  const hint = before === null ? t('overview.noBefore') : t('overview.sameHours', { n: before });
  const compared = props.compared === true && value !== null && before !== null;
  return (
    <Link to={props.to} className="figure" data-test="figure">
      <span className="label cut">{t(props.word)}</span>
      <span className="value">{value === null ? '–' : number(value, 0)}</span>
      <span className="under" title={props.compared === true ? hint : undefined}>
        {compared && <span>{change(value, before) ?? t('overview.before', { n: before })}</span>}
        <span className="cut">{value === null ? t('overview.noStore') : props.under}</span>
      </span>
    </Link>
  );
}

/** A list that has nothing but the switch in its address. */
function listLink(path: string, drill: Drill): string {
  return drill === 'exclude' ? path : `${path}?drill=${drill}`;
}

function Figures({ overview, drill }: { overview: Overview; drill: Drill }) {
  const { t } = useWords();
  const { figures, coverage, since, until } = overview;
  const covered = coverage.total === 0 ? t('overview.noNodes') : t('overview.coverage', { covered: coverage.online, all: coverage.total });
  const overdue = overview.incidents.filter(({ deadline }) => deadline !== null && deadline.due < until).length;
  const day = { ...ANY, drill, range: `${since}-${until}` };
  return (
    <section className="panel">
      <div className="figures">
        <FigureBox word="overview.events" figure={figures.events} to={huntLink({ range: day.range, drill })} under={covered} compared />
        <FigureBox word="overview.alerts" figure={figures.alerts} to={`/alerts?${encode(day)}`} under={covered} compared />
        <FigureBox word="overview.severeAlerts" figure={figures.severe} to={`/alerts?${encode({ ...day, level: ['critical', 'high'] })}`} under={covered} compared />
        <FigureBox word="overview.openAlerts" figure={figures.open_alerts} to={`/alerts?${encode({ ...OPEN, drill })}`} under={t('overview.now')} />
        <FigureBox word="overview.openIncidents" figure={figures.open_incidents} to={listLink('/incidents', drill)} under={t('overview.overdueCount', { n: overdue })} />
        <FigureBox word="overview.sensors" figure={figures.sensors_online} to={listLink('/sensors', drill)} under={covered} />
      </div>
    </section>
  );
}

function Agencies({ overview, drill }: { overview: Overview; drill: Drill }) {
  const { t, number, pick } = useWords();
  const navigate = useNavigate();
  const { organizations } = overview;
  const most = Math.max(1, ...organizations.map((share) => share.alerts));
  if (organizations.length === 0) return <Empty text={t('overview.noAlerts')} />;
  return (
    <table className="list fixed">
      <thead><tr><th>{t('overview.agency')}</th><th style={{ width: '30%' }}>{t('overview.alerts')}</th><th className="number" style={{ width: 72 }} /><th className="number" style={{ width: 72 }}>{t('overview.risk')}</th></tr></thead>
      <tbody>
        {organizations.slice(0, 10).map((share) => {
          const to = `/alerts?${encode({ ...OPEN, drill, organization: [share.id] })}`;
          return (
            <tr key={share.id} className="go" onClick={() => void navigate(to)}>
              <td><Link to={to} style={{ color: 'inherit' }}><Cut text={pick(share.name, share.name_en)} /></Link></td>
              <td>
                <div className="bars" style={{ width: `${(share.alerts / most) * 100}%`, minWidth: 4 }} title={t('overview.severeOf', { n: share.severe, all: share.alerts })}>
                  <i className="high" style={{ width: `${(share.severe / Math.max(1, share.alerts)) * 100}%` }} />
                  <i className="informational" style={{ flex: 1 }} />
                </div>
              </td>
              <td className="number">{number(share.alerts)}</td>
              <td className="number">{number(share.risk)}</td>
            </tr>
          );
        })}
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
            <td style={{ width: 112 }}><Time at={alert.last_seen} brief /></td>
            <td><Link to={`/alerts/${encodeURIComponent(alert.id)}`} style={{ color: 'inherit' }}><Cut text={pick(alert.title_vi, alert.title_en)} /></Link></td>
            <td style={{ width: '24%' }}><Cut text={entityText(alert)} mono className="soft" /></td>
            <td style={{ width: '20%' }}><Cut text={agency(alert.organization, language)} className="soft" /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Incidents({ overview }: { overview: Overview }) {
  const { t } = useWords();
  const navigate = useNavigate();
  if (overview.incidents.length === 0) return <Empty text={t('overview.noIncidents')} />;
  return (
    <table className="list fixed">
      <tbody>
        {overview.incidents.slice(0, 8).map(({ incident, deadline }) => (
          <tr key={incident.id} className="go" onClick={() => void navigate(`/incidents/${encodeURIComponent(incident.id)}`)}>
            <td style={{ width: 36 }}><Severity level={incident.severity} wordless /></td>
            <td style={{ width: 116 }} className="mono">{incident.number}</td>
            <td><Link to={`/incidents/${encodeURIComponent(incident.id)}`} style={{ color: 'inherit' }}><Cut text={incident.title} /></Link></td>
            <td style={{ width: 152 }} className="number"><ClockWord clock={deadline} /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Rules({ overview, drill }: { overview: Overview; drill: Drill }) {
  const { t, number, pick } = useWords();
  const navigate = useNavigate();
  const most = Math.max(1, ...overview.rules.map((share) => share.alerts));
  if (overview.rules.length === 0) return <Empty text={t('overview.noAlerts')} />;
  return (
    <table className="list fixed">
      <tbody>
        {overview.rules.slice(0, 10).map((share) => {
          const to = `/alerts?${encode({ ...ANY, drill, rule: [share.id], range: `${overview.since}-${overview.until}` })}`;
          return (
            <tr key={share.id} className="go" onClick={() => void navigate(to)}>
              <td><Link to={to} style={{ color: 'inherit' }}><Cut text={pick(share.name, share.name_en)} /></Link></td>
              <td style={{ width: '24%' }}><div className="bar" style={{ width: `${(share.alerts / most) * 100}%` }} /></td>
              <td className="number" style={{ width: 72 }}>{number(share.alerts)}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** On a fresh machine only a drill has happened: says so, and leads to it. */
function DrillNote({ overview, show }: { overview: Overview; show: () => void }) {
  const { t } = useWords();
  const { organization } = useScope();
  const filter = useMemo(() => ({ ...NO_FILTER, organization: organization === '' ? [] : [organization], since: overview.since }), [organization, overview.since]);
  const drills = useDrillCount(filter, overview.figures.alerts.value === 0);
  if (overview.figures.alerts.value !== 0 || (drills.data ?? 0) === 0) return null;
  return (
    <div className="note-bar" role="status">
      <span className="grow">{t('overview.onlyDrill', { n: drills.data ?? 0 })}</span>
      <Button size="small" onClick={show} data-test="show-drill">{t('overview.showDrill')}</Button>
    </div>
  );
}

export default function OverviewPage() {
  const { t } = useWords();
  const { organization } = useScope();
  const { line } = useLive();
  const { drill, setDrill, next } = useDrill();
  useKeys({ d: next });
  const overview = useOverview(organization, drill, line !== 'paused');
  const more = (to: string) => <Link to={to}>{t('common.more')}</Link>;
  return (
    <div className="page">
      <div className="head" style={{ alignItems: 'center' }}>
        <h1>{t('overview.title')}</h1>
        <span className="soft grow">{t('overview.window')}</span>
        <DrillSwitch drill={drill} choose={setDrill} />
      </div>
      <Loaded query={overview} lines={16}>
        {(found) => (
          <>
            {drill === 'exclude' && <DrillNote overview={found} show={() => setDrill('only')} />}
            <Figures overview={found} drill={drill} />
            <div className="overview">
              <Panel title={t('overview.series')} className="wide">
                <Suspense fallback={<Skeleton lines={10} />}><Series overview={found} drill={drill} /></Suspense>
              </Panel>
              <Panel title={t('overview.newest')} flush extra={more(`/alerts?${encode({ ...OPEN, drill, level: ['critical', 'high'] })}`)}><Newest overview={found} /></Panel>
              <Panel title={t('overview.incidents')} flush extra={more(listLink('/incidents', drill))}><Incidents overview={found} /></Panel>
              <Panel title={t('overview.agencies')} flush extra={more(`/alerts?${encode({ ...OPEN, drill })}`)}><Agencies overview={found} drill={drill} /></Panel>
              <Panel title={t('overview.rules')} flush extra={more('/rules')}><Rules overview={found} drill={drill} /></Panel>
            </div>
          </>
        )}
      </Loaded>
    </div>
  );
}

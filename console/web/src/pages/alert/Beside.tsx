/** What stands beside an alert: its entities, its techniques, the entity's other alerts, the rule's exceptions. */
import { Link } from 'react-router';

import { drillBeside } from '../../api/alerts';
import { useOrganizationName } from '../../api/places';
import { usePersonName } from '../../api/people';
import type { Alert, Fields, Why } from '../../api/types';
import { useWords } from '../../i18n';
import { Severity } from '../../look/Severity';
import { Cut, Outside, Time } from '../../look/Text';
import { visible } from '../../look/visible';
import { techniques } from '../alerts/classify';
import { ANY, encode } from '../alerts/view';
import { around, huntLink } from '../hunt/query';
import { entityParts, entityText, text } from './record';

/** The fields that name who and what took part, besides the entity of the alert itself. */
const ENTITIES = ['host.name', 'user.name', 'source.ip', 'destination.ip', 'dns.question.name', 'url.domain', 'observer.name'];

/** A value is hunted for as long before and after the alert. */
const PIVOT_MS = 12 * 3_600_000;

/** Alerts about one entity, open or closed, real or of a drill, as a link. */
export function entityLink(value: string): string {
  return `/alerts?${encode({ ...ANY, drill: 'include', entity: value })}`;
}

/** A number from 1 to 5 from the asset's record, or null. */
function assetLevel(event: Fields | null): number | null {
  const level = event?.['dongson.asset.level'];
  const number = Number(level);
  return Number.isInteger(number) && number >= 1 && number <= 5 ? number : null;
}

export function Entities({ alert, why }: { alert: Alert; why: Why | undefined }) {
  const { t, name, language } = useWords();
  const agency = useOrganizationName();
  const event = why?.event ?? null;
  const level = assetLevel(event);
  const parts = entityParts(alert.entity_type, alert.entity_value);
  const others = ENTITIES.map((field) => ({ field, value: text(event?.[field]) })).filter(({ field, value }) => value !== '' && !parts.some((part) => part.kind === field && part.value === value));
  return (
    <div className="section">
      <h2>{t('alert.entities')}</h2>
      <div className="card">
        <span className="kind">{parts.map((part) => name('entity', part.kind)).join(' + ')}</span>
        <Link to={entityLink(alert.entity_value)} className="mono" style={{ overflowWrap: 'anywhere' }}><Outside text={entityText(alert)} /></Link>
        {level !== null && <span className="soft">{t('alert.assetLevelOf', { n: level })}</span>}
      </div>
      {others.map(({ field, value }) => (
        <div key={field} className="card">
          <span className="kind">{name('entity', field)}</span>
          <Link to={huntLink({ drill: drillBeside(alert.drill), range: around(alert.first_seen, alert.last_seen, PIVOT_MS), filters: [{ field, operator: 'is', value }] })} title={t('hunt.pivot', { field, value: visible(value).slice(0, 80) })} className="mono" style={{ overflowWrap: 'anywhere' }}><Outside text={value} /></Link>
        </div>
      ))}
      <div className="card">
        <span className="kind">{t('admin.agency')}</span>
        <Link to={`/alerts?${encode({ ...ANY, drill: alert.drill ? 'only' : 'exclude', organization: [alert.organization] })}`}><Outside text={agency(alert.organization, language)} /></Link>
      </div>
    </div>
  );
}

export function Techniques({ alert }: { alert: Alert }) {
  const { t } = useWords();
  const found = techniques(alert.tags);
  if (found.length === 0) return null;
  return (
    <div className="section">
      <h2>{t('alert.attack')}</h2>
      <div className="row wrap">{found.map((technique) => <span key={technique} className="tag mono">{technique}</span>)}</div>
    </div>
  );
}

export function Others({ why }: { why: Why }) {
  const { t, pick } = useWords();
  return (
    <div className="section">
      <h2>{t('alert.others')}</h2>
      {why.related.length === 0 && <p className="faint">{t('alert.othersEmpty')}</p>}
      {why.related.map((other) => (
        <Link key={other.id} to={`/alerts/${encodeURIComponent(other.id)}`} className="row" style={{ color: 'inherit', fontSize: 12, minHeight: 24 }}>
          <Severity level={other.level} wordless />
          <Cut text={pick(other.title_vi, other.title_en)} className="grow" />
          <span className="faint"><Time at={other.last_seen} brief /></span>
        </Link>
      ))}
    </div>
  );
}

export function Exceptions({ why }: { why: Why }) {
  const { t, number } = useWords();
  const person = usePersonName();
  if (why.exceptions.length === 0) return null;
  return (
    <div className="section">
      <h2>{t('alert.exceptions')}</h2>
      {why.exceptions.map((exception) => (
        <div key={exception.id} className="card">
          <span className="mono" style={{ overflowWrap: 'anywhere' }}>{exception.entity_value === null ? t('common.all') : <Outside text={exception.entity_value} />}</span>
          <span><Outside text={exception.reason} /></span>
          <span className="kind">{person(exception.owner)} · {t('admin.expires')} <Time at={exception.expires_at} /> · {t('admin.hits')}: {number(exception.hits)}</span>
        </div>
      ))}
    </div>
  );
}

export function Facts({ alert }: { alert: Alert }) {
  const { t, number, name } = useWords();
  const person = usePersonName();
  return (
    <dl className="facts">
      <dt>{t('alert.lastSeen')}</dt><dd><Time at={alert.last_seen} /></dd>
      <dt>{t('alert.firstSeen')}</dt><dd><Time at={alert.first_seen} /></dd>
      <dt>{t('alert.count')}</dt><dd>{number(alert.count)}</dd>
      <dt>{t('alert.risk')}</dt><dd>{number(alert.risk)}</dd>
      <dt>{t('alerts.colOwner')}</dt><dd>{person(alert.owner)}</dd>
      <dt>{t('alerts.colState')}</dt><dd>{t(`state.${alert.state}`)}</dd>
      {alert.verdict !== null && <><dt>{t('alert.verdict')}</dt><dd>{name('verdict', alert.verdict)}</dd></>}
      {alert.reason !== null && alert.reason !== '' && <><dt>{t('common.reason')}</dt><dd><Outside text={alert.reason} /></dd></>}
      {alert.incident !== null && <><dt>{t('alert.incident')}</dt><dd><Link to={`/incidents/${encodeURIComponent(alert.incident)}`}>{t('alert.openIncident')}</Link></dd></>}
    </dl>
  );
}

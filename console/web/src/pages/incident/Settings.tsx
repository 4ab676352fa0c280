/** The fields of an incident that change on the way: each a small menu that saves at once. */
import { Select } from 'antd';

import type { IncidentChange } from '../../api/incidents';
import { usePeople } from '../../api/places';
import { usePersonName } from '../../api/people';
import { useSession } from '../../api/session';
import { CATEGORIES, CLASSES, INCIDENT_STATUSES, LEVELS, type Incident } from '../../api/types';
import { useWords } from '../../i18n';
import { Severity } from '../../look/Severity';
import { Time } from '../../look/Text';

interface Props {
  incident: Incident;
  /** null: to look at only. */
  change: ((fields: IncidentChange) => Promise<void>) | null;
}

/** Who can be given it: the colleagues that can work, at least the person. */
function useOwners() {
  const { me } = useSession();
  const { data } = usePeople();
  const ids = (data ?? []).filter((person) => person.assignable).map((person) => person.id);
  return me && !ids.includes(me.id) ? [me.id, ...ids] : ids;
}

/** The same to look at only: words, not menus that do not open. */
function Shown({ incident }: { incident: Incident }) {
  const { t } = useWords();
  const person = usePersonName();
  const rows = [
    [t('incident.status'), t(`status.${incident.status}`)], [t('incident.owner'), person(incident.owner)], [t('incident.severity'), <Severity key="severity" level={incident.severity} />],
    [t('incident.class'), `${incident.class} · ${t(`class.${incident.class as (typeof CLASSES)[number]}`)}`], [t('incident.category'), t(`category.${incident.legal_category}`)], [t('incident.detected'), <Time key="detected" at={incident.detected_at} />],
  ] as const;
  return <div className="settings">{rows.map(([label, value]) => <div key={label} className="shown"><span>{label}</span><span>{value}</span></div>)}</div>;
}

export function Settings({ incident, change }: Props) {
  return change === null ? <Shown incident={incident} /> : <Changeable incident={incident} change={change} />;
}

function Changeable({ incident, change }: { incident: Incident; change: (fields: IncidentChange) => Promise<void> }) {
  const { t } = useWords();
  const person = usePersonName();
  const owners = useOwners();
  const set = (fields: IncidentChange) => void change(fields);
  const all = incident.owner !== null && !owners.includes(incident.owner) ? [incident.owner, ...owners] : owners;
  return (
    <div className="settings">
      <label>
        {t('incident.status')}
        <Select
          data-test="incident-status"
          value={incident.status}
          options={INCIDENT_STATUSES.filter((status) => status !== 'closed' || incident.status === 'closed').map((status) => ({ value: status, label: t(`status.${status}`) }))}
          onChange={(status) => set({ status })}
        />
      </label>
      <label>
        {t('incident.owner')}
        <Select value={incident.owner} placeholder={t('common.unassigned')} options={all.map((id) => ({ value: id, label: person(id) }))} onChange={(owner) => set({ owner })} />
      </label>
      <label>
        {t('incident.severity')}
        <Select value={incident.severity} options={LEVELS.slice(0, 4).map((level) => ({ value: level, label: <Severity level={level} /> }))} onChange={(severity) => set({ severity })} />
      </label>
      <label>
        {t('incident.class')}
        <Select
          value={incident.class}
          showSearch={{ optionFilterProp: 'label' }}
          popupMatchSelectWidth={300}
          options={CLASSES.map((code) => ({ value: code, label: `${code} · ${t(`class.${code}`)}` }))}
          onChange={(code) => set({ class: code })}
        />
      </label>
      <label>
        {t('incident.category')}
        <Select
          value={incident.legal_category}
          popupMatchSelectWidth={320}
          options={CATEGORIES.map((category) => ({ value: category, label: t(`category.${category}`) }))}
          onChange={(category) => set({ legal_category: category })}
        />
      </label>
      <label>
        {t('incident.detected')}
        <span style={{ color: 'var(--text)', lineHeight: '28px', fontSize: 13 }}><Time at={incident.detected_at} /></span>
      </label>
    </div>
  );
}

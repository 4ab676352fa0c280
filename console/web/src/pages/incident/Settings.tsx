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

export function Settings({ incident, change }: Props) {
  const { t } = useWords();
  const person = usePersonName();
  const owners = useOwners();
  const disabled = change === null;
  const set = (fields: IncidentChange) => void change?.(fields);
  const all = incident.owner !== null && !owners.includes(incident.owner) ? [incident.owner, ...owners] : owners;
  return (
    <div className="settings">
      <label>
        {t('incident.status')}
        <Select
          data-test="incident-status"
          value={incident.status}
          disabled={disabled}
          options={INCIDENT_STATUSES.filter((status) => status !== 'closed' || incident.status === 'closed').map((status) => ({ value: status, label: t(`status.${status}`) }))}
          onChange={(status) => set({ status })}
        />
      </label>
      <label>
        {t('incident.owner')}
        <Select value={incident.owner} disabled={disabled} placeholder={t('common.unassigned')} options={all.map((id) => ({ value: id, label: person(id) }))} onChange={(owner) => set({ owner })} />
      </label>
      <label>
        {t('incident.severity')}
        <Select value={incident.severity} disabled={disabled} options={LEVELS.slice(0, 4).map((level) => ({ value: level, label: <Severity level={level} /> }))} onChange={(severity) => set({ severity })} />
      </label>
      <label>
        {t('incident.class')}
        <Select
          value={incident.class}
          disabled={disabled}
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
          disabled={disabled}
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

/** The audit log: who changed what, when; read only, as it should be. */
import { useAudit, useRules } from '../../api/places';
import type { AuditRecord } from '../../api/types';
import { useWords } from '../../i18n';
import { Cut, Time } from '../../look/Text';
import { Roster } from './Roster';

const SERVICE = 'service:';

/** The one who acted: a person by name, a part of the system by what it does. */
function useActor(): (record: AuditRecord) => string {
  const { name } = useWords();
  return ({ who, actor_name }) => {
    const service = who.startsWith(SERVICE) ? who.slice(SERVICE.length) : who;
    const word = name('auditService', service);
    return word === service ? actor_name : word;
  };
}

/** What was done, in the words of the kind of object where those differ. */
function useDeed(): (record: AuditRecord) => string {
  const { name } = useWords();
  return ({ kind, action }) => {
    const own = `${kind}_${action}`;
    const word = name('auditAct', own);
    return word === own ? name('auditAct', action) : word;
  };
}

/** What it was done to: by name, exceptions by the rule that they hold back. */
function useObject(): (record: AuditRecord) => string {
  const { pick } = useWords();
  const { data } = useRules();
  return ({ kind, object, object_name, object_name_en }) => {
    const rule = kind === 'exception' ? data?.find((one) => one.id === object_name) : undefined;
    return rule === undefined ? (pick(object_name, object_name_en) || object) : pick(rule.title_vi, rule.title);
  };
}

export function Audit() {
  const { t, name, pick } = useWords();
  const audit = useAudit();
  const actor = useActor();
  const deed = useDeed();
  const object = useObject();
  return (
    <Roster
      query={audit}
      keyOf={(record) => record.sequence}
      empty={t('admin.emptyAudit')}
      columns={[
        { title: t('admin.sequence'), width: 84, number: true, cell: (record) => String(record.sequence) },
        { title: t('admin.when'), width: 152, cell: (record) => <Time at={record.at} /> },
        { title: t('admin.who'), width: '16%', cell: (record) => <Cut text={actor(record)} /> },
        { title: t('admin.from'), width: 110, cell: (record) => <Cut text={record.address ?? ''} mono className="soft" /> },
        { title: t('admin.what'), width: '13%', cell: (record) => <span title={`${record.kind}.${record.action}`}><Cut text={deed(record)} /></span> },
        { title: t('admin.kindOf'), width: '12%', cell: (record) => <Cut text={name('auditKind', record.kind)} className="soft" /> },
        { title: t('admin.object'), cell: (record) => <Cut text={object(record)} mono={object(record) === record.object} /> },
        { title: t('admin.agency'), width: '14%', cell: (record) => <Cut text={pick(record.organization_name, record.organization_name_en) || (record.organization ?? '')} className="soft" /> },
      ]}
    />
  );
}

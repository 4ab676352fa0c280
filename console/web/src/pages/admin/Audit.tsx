/** The audit log: who changed what, when; read only, as it should be. */
import { usePersonName } from '../../api/people';
import { useAudit } from '../../api/places';
import { useWords } from '../../i18n';
import { Cut, Time } from '../../look/Text';
import { Roster } from './Roster';

export function Audit() {
  const { t, name } = useWords();
  const audit = useAudit();
  const person = usePersonName();
  return (
    <Roster
      query={audit}
      keyOf={(record) => record.sequence}
      empty={t('admin.emptyAudit')}
      columns={[
        { title: t('admin.sequence'), width: 84, number: true, cell: (record) => String(record.sequence) },
        { title: t('admin.when'), width: 160, cell: (record) => <Time at={record.at} /> },
        { title: t('admin.who'), width: '18%', cell: (record) => <Cut text={person(record.who)} /> },
        { title: t('admin.from'), width: 150, cell: (record) => <Cut text={record.address ?? ''} mono /> },
        { title: t('admin.what'), width: '16%', cell: (record) => <span title={`${record.kind}.${record.action}`}>{name('auditAct', record.action)}</span> },
        { title: t('admin.kindOf'), width: '14%', cell: (record) => <Cut text={name('auditKind', record.kind)} /> },
        { title: t('admin.object'), cell: (record) => (record.kind === 'account' ? <Cut text={person(record.object)} /> : <Cut text={record.object} mono className="soft" />) },
      ]}
    />
  );
}

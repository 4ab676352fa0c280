/** The agencies. */
import { useQueryClient } from '@tanstack/react-query';
import { Button, Form, Input, Select } from 'antd';
import { useState } from 'react';

import { post, put } from '../../api/http';
import { useOrganizationName, useOrganizations } from '../../api/places';
import type { Organization } from '../../api/types';
import { useWords } from '../../i18n';
import { FormDialogue, useRequired } from '../../look/FormDialogue';
import { Cut } from '../../look/Text';
import { AgencySelect } from './AgencySelect';
import { Roster } from './Roster';

interface Fields {
  id: string;
  name: string;
  name_en?: string;
  parent?: string | null;
  level: number;
}

function Editor({ agency, close }: { agency: Organization | null; close: () => void }) {
  const { t } = useWords();
  const queries = useQueryClient();
  const required = useRequired();
  const submit = async (fields: Fields) => {
    const body = { name: fields.name.trim(), name_en: fields.name_en?.trim() ?? '', parent: fields.parent ?? null, level: fields.level };
    if (agency === null) await post('/agencies', { ...body, id: fields.id.trim() });
    else await put(`/agencies/${encodeURIComponent(agency.id)}`, { ...body, version: agency.version });
    await queries.invalidateQueries({ queryKey: ['organizations'] });
  };
  return (
    <FormDialogue<Fields> title={agency?.name ?? t('admin.newAgency')} act={agency === null ? t('common.create') : t('common.save')} close={close} initial={agency ?? { level: 2 }} submit={submit}>
      {agency === null && <Form.Item name="id" label={t('admin.id')} rules={[required]} extra={t('admin.idHint')}><Input autoFocus maxLength={64} /></Form.Item>}
      <Form.Item name="name" label={t('admin.name')} rules={[required]}><Input maxLength={200} /></Form.Item>
      <Form.Item name="name_en" label={t('admin.nameEn')}><Input maxLength={200} /></Form.Item>
      <Form.Item name="parent" label={t('admin.parent')}><AgencySelect everywhere={t('common.none')} /></Form.Item>
      <Form.Item name="level" label={t('admin.systemLevel')}><Select options={[1, 2, 3, 4, 5].map((level) => ({ value: level, label: t('alert.assetLevelOf', { n: level }) }))} /></Form.Item>
    </FormDialogue>
  );
}

export function Agencies() {
  const { t, language } = useWords();
  const agencies = useOrganizations();
  const nameOf = useOrganizationName();
  const [editing, setEditing] = useState<Organization | 'new' | null>(null);
  return (
    <>
      <Roster
        query={agencies}
        keyOf={(agency) => agency.id}
        empty={t('admin.emptyAgencies')}
        add={{ word: t('admin.newAgency'), open: () => setEditing('new') }}
        columns={[
          { title: t('admin.id'), width: '18%', cell: (agency) => <Cut text={agency.id} mono /> },
          { title: t('admin.name'), cell: (agency) => <Cut text={agency.name} /> },
          { title: t('admin.nameEn'), cell: (agency) => <Cut text={agency.name_en} className="soft" /> },
          { title: t('admin.parent'), width: '18%', cell: (agency) => <Cut text={nameOf(agency.parent, language)} /> },
          { title: t('admin.systemLevel'), width: 84, number: true, cell: (agency) => String(agency.level) },
          { title: '', width: 72, cell: (agency) => <Button size="small" type="text" onClick={() => setEditing(agency)}>{t('common.edit')}</Button> },
        ]}
      />
      {editing !== null && <Editor agency={editing === 'new' ? null : editing} close={() => setEditing(null)} />}
    </>
  );
}

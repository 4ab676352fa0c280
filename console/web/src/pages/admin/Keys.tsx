/** Keys of the senders that speak HTTPS; the secret is shown once. */
import { useQueryClient } from '@tanstack/react-query';
import { Alert as Notice, Button, Form, Input, Modal } from 'antd';
import { useState } from 'react';

import { post } from '../../api/http';
import { usePersonName } from '../../api/people';
import { useKeys, useOrganizationName } from '../../api/places';
import type { ApiKey } from '../../api/types';
import { useWords } from '../../i18n';
import { useConfirm } from '../../look/Confirm';
import { Copyable } from '../../look/Copyable';
import { FormDialogue, useRequired } from '../../look/FormDialogue';
import { Cut, Time } from '../../look/Text';
import { AgencySelect } from './AgencySelect';
import { Roster } from './Roster';
import { useAct } from './useAct';

interface Fields {
  organization: string;
  source_name: string;
}

export function Keys() {
  const { t, language } = useWords();
  const queries = useQueryClient();
  const keys = useKeys();
  const agency = useOrganizationName();
  const person = usePersonName();
  const confirm = useConfirm();
  const act = useAct('keys');
  const required = useRequired();
  const [making, setMaking] = useState(false);
  const [secret, setSecret] = useState<string | null>(null);
  const revoke = (key: ApiKey) => confirm({
    title: t('admin.revokeKeyTitle', { name: key.source_name }),
    effect: t('admin.revokeKeyEffect'),
    act: t('admin.revoke'),
    run: () => act(() => post(`/api-keys/${encodeURIComponent(key.id)}/revoke`), 'admin.revoked'),
  });
  return (
    <>
      <Roster
        query={keys}
        keyOf={(key) => key.id}
        empty={t('admin.emptyKeys')}
        add={{ word: t('admin.newKey'), open: () => setMaking(true) }}
        columns={[
          { title: t('admin.sourceName'), cell: (key) => <span className="row" style={{ gap: 6 }}><Cut text={key.source_name} />{key.drill && <span className="tag drill">{t('common.drill')}</span>}</span> },
          { title: t('admin.agency'), cell: (key) => <Cut text={agency(key.organization, language)} /> },
          { title: t('admin.createdAt'), width: 150, cell: (key) => <Time at={key.created_at} brief /> },
          { title: t('admin.who'), width: 140, cell: (key) => <Cut text={person(key.created_by)} /> },
          { title: t('admin.lastUsed'), width: 150, cell: (key) => <Time at={key.last_used_at} brief /> },
          { title: t('admin.state'), width: 110, cell: (key) => (key.revoked_at === null ? t('admin.active') : t('admin.revoked')) },
          { title: '', width: 92, cell: (key) => key.revoked_at === null && <Button size="small" type="text" onClick={() => revoke(key)}>{t('admin.revoke')}</Button> },
        ]}
      />
      {making && (
        <FormDialogue<Fields>
          title={t('admin.newKey')}
          act={t('common.create')}
          close={() => setMaking(false)}
          submit={async (fields) => {
            const made = await post<{ secret: string }>('/api-keys', { organization: fields.organization, source_name: fields.source_name.trim() });
            setSecret(made.secret);
            await queries.invalidateQueries({ queryKey: ['keys'] });
          }}
        >
          <Form.Item name="source_name" label={t('admin.sourceName')} rules={[required]}><Input autoFocus maxLength={100} /></Form.Item>
          <Form.Item name="organization" label={t('admin.agency')} rules={[required]}><AgencySelect /></Form.Item>
        </FormDialogue>
      )}
      {secret !== null && (
        <Modal open title={t('admin.key')} footer={null} onCancel={() => setSecret(null)} mask={{ closable: false }}>
          <div className="stack"><Notice type="warning" title={t('common.shownOnce')} /><Copyable text={secret} test="key-secret" /></div>
        </Modal>
      )}
    </>
  );
}

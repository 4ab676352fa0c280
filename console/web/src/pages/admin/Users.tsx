/** Who may sign in, as what, and for which agencies. */
import { useQueryClient } from '@tanstack/react-query';
import { Alert as Notice, Button, Form, Input, Modal, Select } from 'antd';
import { useState } from 'react';

import { post, put } from '../../api/http';
import { useAccounts, useOrganizationName } from '../../api/places';
import { useSession } from '../../api/session';
import { ROLES, type Account, type Role } from '../../api/types';
import { useWords } from '../../i18n';
import { useConfirm } from '../../look/Confirm';
import { Copyable } from '../../look/Copyable';
import { FormDialogue, useRequired } from '../../look/FormDialogue';
import { Cut, Time } from '../../look/Text';
import { AgencySelect } from './AgencySelect';
import { Roster } from './Roster';
import { useAct } from './useAct';

interface Fields {
  login: string;
  full_name: string;
  role: Role;
  organizations?: string[] | null;
}

interface Made {
  account: Account;
  password: string;
}

/** An analyst's empty choice is the whole province; a viewer has agencies, and an empty list stays one. */
const scope = (role: Role, organizations: string[] | null | undefined, before: string[] | null | undefined) => {
  if (organizations !== undefined && organizations !== null && organizations.length > 0) return organizations;
  return role === 'agency_viewer' || before?.length === 0 ? [] : null;
};

function Editor({ account, close, made }: { account: Account | null; close: () => void; made: (made: Made) => void }) {
  const { t } = useWords();
  const queries = useQueryClient();
  const required = useRequired();
  const submit = async (fields: Fields) => {
    const body = { full_name: fields.full_name.trim(), role: fields.role, organizations: scope(fields.role, fields.organizations, account?.organizations) };
    if (account === null) made(await post<Made>('/users', { ...body, login: fields.login.trim() }));
    else await put(`/users/${encodeURIComponent(account.id)}`, { ...body, disabled: account.disabled, version: account.version });
    await queries.invalidateQueries({ queryKey: ['accounts'] });
  };
  return (
    <FormDialogue<Fields>
      title={account === null ? t('admin.newUser') : account.login}
      act={account === null ? t('common.create') : t('common.save')}
      close={close}
      initial={account ?? { role: 'analyst' }}
      submit={submit}
    >
      {account === null && <Form.Item name="login" label={t('admin.user')} rules={[required]}><Input autoFocus autoComplete="off" autoCapitalize="none" maxLength={64} /></Form.Item>}
      <Form.Item name="full_name" label={t('admin.displayName')} rules={[required]}><Input autoComplete="off" maxLength={100} /></Form.Item>
      <Form.Item name="role" label={t('admin.role')}><Select options={ROLES.map((role) => ({ value: role, label: t(`role.${role}`) }))} /></Form.Item>
      <Form.Item noStyle shouldUpdate={(before: Fields, after: Fields) => before.role !== after.role}>
        {({ getFieldValue }) => {
          const viewer = getFieldValue('role') === 'agency_viewer';
          return (
            <Form.Item name="organizations" label={t('admin.scope')} rules={viewer ? [{ ...required, type: 'array' as const }] : []}>
              <AgencySelect several {...(viewer ? {} : { everywhere: t('admin.scopeAll') })} />
            </Form.Item>
          );
        }}
      </Form.Item>
    </FormDialogue>
  );
}

export function Users() {
  const { t, language } = useWords();
  const { me } = useSession();
  const accounts = useAccounts();
  const agency = useOrganizationName();
  const act = useAct('accounts');
  const confirm = useConfirm();
  const [editing, setEditing] = useState<Account | 'new' | null>(null);
  const [made, setMade] = useState<Made | null>(null);

  const reset = (account: Account) => confirm({
    title: t('admin.resetTitle', { name: account.login }),
    effect: t('admin.resetEffect'),
    act: t('admin.resetPassword'),
    run: () => act(async () => setMade(await post<Made>(`/users/${encodeURIComponent(account.id)}/reset-password`)), 'common.saved'),
  });
  const lock = (account: Account) => act(
    () => put(`/users/${encodeURIComponent(account.id)}`, { full_name: account.full_name, role: account.role, organizations: account.organizations, disabled: !account.disabled, version: account.version }),
    'common.saved',
  );
  const state = (account: Account) => (account.disabled ? t('admin.disabled') : account.must_change_password ? t('admin.mustChange') : t('admin.active'));
  return (
    <>
      <Roster
        query={accounts}
        keyOf={(account) => account.id}
        empty={t('admin.emptyUsers')}
        add={{ word: t('admin.newUser'), open: () => setEditing('new') }}
        columns={[
          { title: t('admin.user'), width: '13%', cell: (account) => <Cut text={account.login} mono /> },
          { title: t('admin.displayName'), cell: (account) => <Cut text={account.full_name} /> },
          { title: t('admin.role'), width: 160, cell: (account) => t(`role.${account.role}`) },
          { title: t('admin.scope'), width: '14%', cell: (account) => <Cut text={account.organizations === null ? t('admin.scopeAll') : account.organizations.map((id) => agency(id, language)).join(', ')} /> },
          { title: t('admin.state'), width: 150, cell: state },
          { title: t('admin.lastSignIn'), width: 140, cell: (account) => <Time at={account.last_sign_in_at} brief /> },
          {
            title: '', width: 270, cell: (account) => (
              <div className="row" style={{ gap: 0 }}>
                <Button size="small" type="text" onClick={() => setEditing(account)}>{t('common.edit')}</Button>
                {account.id !== me?.id && <Button size="small" type="text" onClick={() => reset(account)}>{t('admin.resetPassword')}</Button>}
                {account.id !== me?.id && <Button size="small" type="text" onClick={() => void lock(account)}>{account.disabled ? t('admin.unlock') : t('admin.lock')}</Button>}
              </div>
            ),
          },
        ]}
      />
      {editing !== null && <Editor account={editing === 'new' ? null : editing} close={() => setEditing(null)} made={setMade} />}
      {made !== null && (
        <Modal open title={t('admin.firstPassword')} footer={null} onCancel={() => setMade(null)} mask={{ closable: false }}>
          <div className="stack">
            <Notice type="warning" title={t('common.shownOnce')} />
            <span className="soft">{made.account.login} · {t('admin.firstPasswordHint')}</span>
            <Copyable text={made.password} test="first-password" />
          </div>
        </Modal>
      )}
    </>
  );
}

/** Where alerts are told: mail and webhooks. */
import { useQueryClient } from '@tanstack/react-query';
import { App, Button, Checkbox, Form, Input, InputNumber, Select } from 'antd';
import { useState } from 'react';

import { ApiError, post, put, remove } from '../../api/http';
import { useChannels, useOrganizationName } from '../../api/places';
import { LEVELS, type Channel } from '../../api/types';
import { useWords } from '../../i18n';
import { useConfirm } from '../../look/Confirm';
import { FormDialogue, useRequired } from '../../look/FormDialogue';
import { useFailure } from '../../look/States';
import { Severity } from '../../look/Severity';
import { Cut } from '../../look/Text';
import { visible } from '../../look/visible';
import { AgencySelect } from './AgencySelect';
import { toBody, toFields, type ChannelFields } from './channel';
import { Roster } from './Roster';
import { useAct } from './useAct';

function Reach() {
  const { t } = useWords();
  const kind = Form.useWatch<string | undefined>('kind') ?? 'smtp';
  const required = useRequired();
  if (kind === 'webhook') {
    return (
      <>
        <Form.Item name="url" label={t('admin.webhookUrl')} rules={[required]}><Input placeholder={'https://'} maxLength={500} className="mono" /></Form.Item>
        <Form.Item name="secret" label={t('admin.webhookSecret')}><Input.Password autoComplete="off" /></Form.Item>
      </>
    );
  }
  return (
    <>
      <div className="row" style={{ alignItems: 'flex-start' }}>
        <Form.Item name="host" label={t('admin.smtpHost')} rules={[required]} style={{ flex: '2 1 0' }}><Input maxLength={253} className="mono" /></Form.Item>
        <Form.Item name="port" label={t('admin.smtpPort')} style={{ width: 80 }}><InputNumber min={1} max={65_535} style={{ width: '100%' }} /></Form.Item>
        <Form.Item name="tls" label={t('admin.smtpTls')} className="grow"><Select options={[{ value: 'starttls', label: t('admin.smtpStartTls') }, { value: 'tls', label: t('admin.smtpTlsOn') }, { value: 'none', label: t('admin.smtpTlsOff') }]} /></Form.Item>
      </div>
      <Form.Item name="from" label={t('admin.smtpFrom')} rules={[required]}><Input maxLength={254} /></Form.Item>
      <Form.Item name="to" label={t('admin.smtpTo')} rules={[required]}><Input maxLength={2000} /></Form.Item>
      <div className="row" style={{ alignItems: 'flex-start' }}>
        <Form.Item name="username" label={t('admin.smtpUser')} className="grow"><Input autoComplete="off" /></Form.Item>
        <Form.Item name="password" label={t('admin.smtpPassword')} className="grow"><Input.Password autoComplete="new-password" /></Form.Item>
      </div>
    </>
  );
}

function Editor({ channel, close }: { channel: Channel | null; close: () => void }) {
  const { t, name } = useWords();
  const queries = useQueryClient();
  const required = useRequired();
  const submit = async (fields: ChannelFields) => {
    if (channel === null) await post('/notifications', toBody(fields));
    else await put(`/notifications/${encodeURIComponent(channel.id)}`, { ...toBody(fields), version: channel.version });
    await queries.invalidateQueries({ queryKey: ['channels'] });
  };
  const initial: Partial<ChannelFields> = channel === null ? { kind: 'smtp', min_level: 'high', enabled: true, port: 587, tls: 'starttls' } : toFields(channel);
  return (
    <FormDialogue<ChannelFields> title={channel?.name ?? t('admin.newChannel')} act={channel === null ? t('common.create') : t('common.save')} close={close} initial={initial} submit={submit}>
      <div className="row" style={{ alignItems: 'flex-start' }}>
        <Form.Item name="name" label={t('admin.name')} rules={[required]} className="grow"><Input autoFocus maxLength={100} /></Form.Item>
        <Form.Item name="kind" label={t('admin.kind')} className="grow"><Select disabled={channel !== null} options={['smtp', 'webhook'].map((kind) => ({ value: kind, label: name('channelKind', kind) }))} /></Form.Item>
      </div>
      <div className="row" style={{ alignItems: 'flex-start' }}>
        <Form.Item name="organization" label={t('admin.agency')} className="grow"><AgencySelect everywhere={t('admin.scopeAll')} /></Form.Item>
        <Form.Item name="min_level" label={t('admin.minLevel')} className="grow"><Select options={LEVELS.map((level) => ({ value: level, label: <Severity level={level} /> }))} /></Form.Item>
      </div>
      <Reach />
      <Form.Item name="enabled" valuePropName="checked"><Checkbox>{t('admin.enabled')}</Checkbox></Form.Item>
    </FormDialogue>
  );
}

/** Sends a test through a stored channel and tells what came of it. */
function useTrial(): (channel: Channel) => Promise<void> {
  const { t } = useWords();
  const { message } = App.useApp();
  const words = useFailure();
  return async (channel) => {
    const hide = message.loading(t('admin.testing', { name: channel.name }), 0);
    try {
      await post(`/notifications/${encodeURIComponent(channel.id)}/test`);
      hide();
      void message.success(t('admin.testSent', { name: channel.name }));
    } catch (error) {
      hide();
      const detail = error instanceof ApiError && error.detail !== '' ? ` ${visible(error.detail)}` : '';
      void message.error(`${t('admin.testFailed', { name: channel.name })} ${words(error)}${detail}`, 10);
    }
  };
}

export function Channels() {
  const { t, name, language } = useWords();
  const channels = useChannels();
  const agency = useOrganizationName();
  const confirm = useConfirm();
  const act = useAct('channels');
  const trial = useTrial();
  const [editing, setEditing] = useState<Channel | 'new' | null>(null);
  const target = (channel: Channel) => {
    const { to, url } = toFields(channel);
    return channel.kind === 'smtp' ? (to ?? '') : (url ?? '');
  };
  const takeAway = (channel: Channel) => confirm({
    title: t('admin.removeChannel', { name: channel.name }),
    effect: t('admin.removeChannelEffect'),
    act: t('common.delete'),
    run: () => act(() => remove(`/notifications/${encodeURIComponent(channel.id)}`), 'common.deleted'),
  });
  return (
    <>
      <Roster
        query={channels}
        keyOf={(channel) => channel.id}
        empty={t('admin.emptyChannels')}
        add={{ word: t('admin.newChannel'), open: () => setEditing('new') }}
        columns={[
          { title: t('admin.name'), cell: (channel) => <Cut text={channel.name} /> },
          { title: t('admin.kind'), width: 160, cell: (channel) => name('channelKind', channel.kind) },
          { title: t('admin.target'), cell: (channel) => <Cut text={target(channel)} mono /> },
          { title: t('admin.agency'), width: '18%', cell: (channel) => <Cut text={channel.organization === null ? t('admin.scopeAll') : agency(channel.organization, language)} /> },
          { title: t('admin.minLevel'), width: 130, cell: (channel) => <Severity level={channel.min_level} /> },
          { title: t('admin.state'), width: 72, cell: (channel) => (channel.enabled ? t('admin.enabled') : t('admin.off')) },
          {
            title: '', width: 176, cell: (channel) => (
              <div className="row" style={{ gap: 0 }}>
                <Button size="small" type="text" data-test="try" onClick={() => void trial(channel)}>{t('admin.test')}</Button>
                <Button size="small" type="text" onClick={() => setEditing(channel)}>{t('common.edit')}</Button>
                <Button size="small" type="text" onClick={() => takeAway(channel)}>{t('common.delete')}</Button>
              </div>
            ),
          },
        ]}
      />
      {editing !== null && <Editor channel={editing === 'new' ? null : editing} close={() => setEditing(null)} />}
    </>
  );
}

/** Log sources: which agency a sender belongs to, how it is read, when its silence is an alarm. */
import { useQueryClient } from '@tanstack/react-query';
import { AutoComplete, Button, Form, Input, InputNumber, Select } from 'antd';
import { useState } from 'react';

import { post, put } from '../../api/http';
import { useKeys, useOrganizationName, usePeople, useSourceChoices, useSources } from '../../api/places';
import type { Source } from '../../api/types';
import { useWords } from '../../i18n';
import { FormDialogue, useRequired } from '../../look/FormDialogue';
import { Cut, Time } from '../../look/Text';
import { AgencySelect } from './AgencySelect';
import { Roster } from './Roster';
import { MOST_SECONDS, body, initial, type Fields } from './source';

const KINDS = ['syslog', 'relp', 'http'] as const;
const ZONES = ['Asia/Ho_Chi_Minh', 'UTC'];

const options = (names: readonly string[] | undefined) => (names ?? []).map((value) => ({ value, label: value }));

function Match({ listeners }: { listeners: readonly string[] | undefined }) {
  const { t, name, language } = useWords();
  const agency = useOrganizationName();
  const form = Form.useFormInstance();
  const kind = Form.useWatch<string | undefined>('kind') ?? 'syslog';
  const listener = Form.useWatch<string | null | undefined>('listener') ?? 'tls';
  const keys = useKeys();
  const required = useRequired();
  return (
    <>
      <Form.Item name="kind" label={t('admin.kind')}><Select onChange={() => { form.setFieldsValue({ listener: null, certificate: null }); }} options={KINDS.map((value) => ({ value, label: name('sourceKind', value) }))} /></Form.Item>
      {kind !== 'http' && (
        <>
          <div className="row" style={{ alignItems: 'flex-start' }}>
            <Form.Item name="address" label={t('admin.address')} className="grow"><Input placeholder="192.0.2.10" maxLength={64} className="mono" /></Form.Item>
            <Form.Item name="listener" label={t('admin.listener')} extra={t('admin.listenerHelp')} className="grow"><Select allowClear options={options(listeners?.filter((listener) => (listener === 'relp') === (kind === 'relp')))} /></Form.Item>
          </div>
          {kind === 'syslog' && listener === 'tls' && <Form.Item name="certificate" label={t('admin.fingerprint')}><Input maxLength={128} className="mono" /></Form.Item>}
        </>
      )}
      {kind === 'http' && (
        <Form.Item name="api_key" label={t('admin.key')} extra={t('admin.keyHelp')} rules={[required]}>
          <Select showSearch={{ optionFilterProp: 'label' }} options={(keys.data ?? []).filter((key) => key.revoked_at === null).map((key) => ({ value: key.id, label: `${key.source_name} · ${agency(key.organization, language)}` }))} />
        </Form.Item>
      )}
    </>
  );
}

function Editor({ source, close }: { source: Source | null; close: () => void }) {
  const { t } = useWords();
  const queries = useQueryClient();
  const required = useRequired();
  const choices = useSourceChoices().data;
  const people = (usePeople().data ?? []).filter((person) => person.assignable);
  const submit = async (fields: Fields) => {
    if (source === null) await post('/sources', body(fields));
    else await put(`/sources/${encodeURIComponent(source.id)}`, { ...body(fields), version: source.version });
    await queries.invalidateQueries({ queryKey: ['sources'] });
  };
  return (
    <FormDialogue<Fields> title={source?.name ?? t('admin.newSource')} act={source === null ? t('common.create') : t('common.save')} close={close} initial={initial(source)} submit={submit}>
      <Form.Item name="name" label={t('admin.sourceName')} rules={[required]}><Input autoFocus maxLength={64} /></Form.Item>
      <Form.Item name="organization" label={t('admin.agency')} rules={[required]}><AgencySelect /></Form.Item>
      <Match listeners={choices?.listeners} />
      <Form.Item name="parser" label={t('admin.parser')}><Select allowClear showSearch placeholder={t('admin.parserHint')} options={options(choices?.parsers)} /></Form.Item>
      <div className="row" style={{ alignItems: 'flex-start' }}>
        <Form.Item name="time_zone" label={t('admin.zone')} className="grow"><Select options={ZONES.map((zone) => ({ value: zone, label: zone }))} /></Form.Item>
        <Form.Item name="silence_after_seconds" label={t('admin.silence')} className="grow"><InputNumber min={1} max={MOST_SECONDS} precision={0} style={{ width: '100%' }} suffix={t('admin.secondsUnit')} /></Form.Item>
      </div>
      <div className="row" style={{ alignItems: 'flex-start' }}>
        <Form.Item name="expected_per_hour" label={t('admin.expected')} extra={t('admin.expectedHelp')} className="grow"><InputNumber min={1} max={1_000_000_000} precision={0} style={{ width: '100%' }} /></Form.Item>
        <Form.Item name="clock_offset_ms" label={t('admin.clockOffset')} extra={t('admin.clockOffsetHelp')} className="grow"><InputNumber min={-MOST_SECONDS * 1000} max={MOST_SECONDS * 1000} precision={0} style={{ width: '100%' }} suffix="ms" /></Form.Item>
      </div>
      <Form.Item name="owner" label={t('admin.owner')} extra={t('admin.sourceOwnerHelp')}>
        <AutoComplete options={people.map((person) => ({ value: person.login, label: `${person.full_name} (${person.login})` }))}><Input maxLength={200} /></AutoComplete>
      </Form.Item>
    </FormDialogue>
  );
}

export function Sources() {
  const { t, name, number, language } = useWords();
  const sources = useSources();
  const agency = useOrganizationName();
  const [editing, setEditing] = useState<Source | 'new' | null>(null);
  return (
    <>
      <Roster
        query={sources}
        keyOf={(source) => source.id}
        empty={t('admin.emptySources')}
        add={{ word: t('admin.newSource'), open: () => setEditing('new') }}
        columns={[
          { title: t('admin.sourceName'), cell: (source) => <Cut text={source.name} /> },
          { title: t('admin.agency'), cell: (source) => <Cut text={agency(source.organization, language)} /> },
          { title: t('admin.kind'), width: 116, cell: (source) => name('sourceKind', source.kind) },
          { title: t('admin.match'), width: '16%', cell: (source) => <Cut text={source.address ?? source.certificate ?? source.listener ?? ''} mono /> },
          { title: t('admin.parser'), width: 120, cell: (source) => <Cut text={source.parser ?? ''} mono /> },
          { title: t('admin.events'), width: 100, number: true, cell: (source) => number(source.events) },
          { title: t('admin.unparsed'), width: 116, number: true, cell: (source) => number(source.unparsed) },
          { title: t('admin.lastSeen'), width: 150, cell: (source) => <span className="live"><i className={source.silent_since === null ? (source.last_seen === null ? 'dot hollow' : 'dot') : 'dot off'} /><Time at={source.last_seen} brief /></span> },
          { title: '', width: 72, cell: (source) => <Button size="small" type="text" onClick={() => setEditing(source)}>{t('common.edit')}</Button> },
        ]}
      />
      {editing !== null && <Editor source={editing === 'new' ? null : editing} close={() => setEditing(null)} />}
    </>
  );
}

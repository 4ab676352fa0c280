/** What the centre wants of sensors: of one, of an agency's, of all. The console signs it; each sensor takes it on trial and can refuse it. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { App, Form, Input, InputNumber, Modal, Segmented, Select } from 'antd';
import { useState } from 'react';

import { get, put } from '../../api/http';
import type { Desired, Sensor } from '../../api/types';
import { useWords } from '../../i18n';
import { FormDialogue } from '../../look/FormDialogue';
import { Loaded } from '../../look/States';
import { KINDS, edited, shown, type SettingsForm } from './configure';

type Width = 'sensor' | 'organization' | 'all';

function useDesired(target: string) {
  return useQuery({ queryKey: ['desired', target], queryFn: ({ signal }) => get<Desired>(`/desired/${encodeURIComponent(target)}`, {}, signal) });
}

function Fields({ desired, choice, close }: { desired: Desired; choice: React.ReactNode; close: () => void }) {
  const { t } = useWords();
  const { message } = App.useApp();
  const queries = useQueryClient();
  const submit = async (form: SettingsForm) => {
    await put(`/desired/${encodeURIComponent(desired.target)}`, { version: desired.version, configuration: edited(desired.configuration, form) });
    void message.success(t('configure.saved'));
    await queries.invalidateQueries({ queryKey: ['desired'] });
    await queries.invalidateQueries({ queryKey: ['sensors'] });
  };
  const empty = t('configure.wider');
  return (
    <FormDialogue<SettingsForm> title={t('configure.title')} act={t('configure.sign')} initial={shown(desired.configuration)} close={close} submit={submit}>
      {choice}
      <p className="soft" style={{ marginBottom: 12 }}>{t('configure.effect')}</p>
      <Form.Item name="filter" label={t('configure.filter')}><Input className="mono" maxLength={4096} spellCheck={false} placeholder={empty} /></Form.Item>
      <Form.Item name="without" label={t('configure.without')}><Select mode="multiple" allowClear placeholder={empty} options={KINDS.map((kind) => ({ value: kind, label: kind }))} /></Form.Item>
      <Form.Item name="checksums" label={t('configure.checksums')}>
        <Select allowClear placeholder={empty} options={[{ value: 'verify', label: t('configure.verify') }, { value: 'ignore', label: t('configure.ignore') }]} />
      </Form.Item>
      <Form.Item name="max_flows" label={t('configure.maxFlows')}><InputNumber min={1000} max={100_000_000} precision={0} placeholder={empty} style={{ width: '100%' }} /></Form.Item>
      <Form.Item name="spool_mib" label={t('configure.spool')}><InputNumber min={16} max={1_048_576} precision={0} suffix="MiB" placeholder={empty} style={{ width: '100%' }} /></Form.Item>
    </FormDialogue>
  );
}

export function Configure({ sensor, agency, close }: { sensor: Sensor; agency: string; close: () => void }) {
  const { t } = useWords();
  const [width, setWidth] = useState<Width>('sensor');
  const target = { sensor: `sensor:${sensor.id}`, organization: `organization:${sensor.organization}`, all: 'all' }[width];
  const desired = useDesired(target);
  const choice = (
    <Segmented<Width>
      value={width}
      onChange={setWidth}
      style={{ marginBottom: 12 }}
      options={[{ value: 'sensor', label: sensor.node }, { value: 'organization', label: agency }, { value: 'all', label: t('configure.all') }]}
    />
  );
  if (desired.data !== undefined) return <Fields key={`${target} ${desired.data.version}`} desired={desired.data} choice={choice} close={close} />;
  return <Modal open footer={null} title={t('configure.title')} onCancel={close} width={480}>{choice}<Loaded query={desired} lines={6}>{() => null}</Loaded></Modal>;
}

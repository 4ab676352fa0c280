/** A new sensor in three steps: where it stands, the command to run there, the first sign of life. */
import { Alert as Notice, Button, Form, Input, Modal, Select, Steps } from 'antd';
import { useState } from 'react';

import { post } from '../../api/http';
import { useOrganizations, useSensors } from '../../api/places';
import type { TokenMade } from '../../api/types';
import { useWords } from '../../i18n';
import { moment } from '../../i18n/format';
import { Copyable } from '../../look/Copyable';
import { useFailure } from '../../look/States';
import { Outside } from '../../look/Text';
import { enrolCommand } from './command';

interface Place {
  organization: string;
  node: string;
  hours: number;
}

function Where({ made }: { made: (token: TokenMade) => void }) {
  const { t, pick } = useWords();
  const { data } = useOrganizations();
  const words = useFailure();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>(null);
  const submit = async ({ organization, node, hours }: Place) => {
    setBusy(true);
    setFailure(null);
    try {
      made(await post<TokenMade>('/enrolment-tokens', { organization, node: node.trim(), minutes: hours * 60 }));
    } catch (error) {
      setFailure(error);
      setBusy(false);
    }
  };
  const required = { required: true, whitespace: true, message: t('common.required') };
  return (
    <Form layout="vertical" requiredMark={false} initialValues={{ hours: 24 }} onFinish={(place: Place) => void submit(place)}>
      {failure !== null && <Notice type="error" title={words(failure)} style={{ marginBottom: 12 }} role="alert" />}
      <Form.Item name="organization" label={t('sensors.agency')} rules={[required]}>
        <Select showSearch={{ optionFilterProp: 'label' }} options={(data ?? []).map((item) => ({ value: item.id, label: pick(item.name, item.name_en) }))} />
      </Form.Item>
      <Form.Item name="node" label={t('sensors.nodeName')} rules={[required]}><Input placeholder={t('sensors.nodeHint')} maxLength={100} /></Form.Item>
      <Form.Item name="hours" label={t('sensors.hours')}><Select options={[1, 24, 72].map((hours) => ({ value: hours, label: t('sensors.hoursValue', { n: hours }) }))} /></Form.Item>
      <div className="row" style={{ justifyContent: 'flex-end' }}><Button type="primary" htmlType="submit" loading={busy}>{t('sensors.makeToken')}</Button></div>
    </Form>
  );
}

function Command({ token, ran }: { token: TokenMade; ran: () => void }) {
  const { t, language } = useWords();
  return (
    <div className="stack">
      <Notice type="warning" title={t('sensors.tokenOnce', { time: moment(token.token.expires_at, language) })} />
      <span>{t('sensors.command')}</span>
      <Copyable text={enrolCommand(token.text, window.location.hostname)} test="enrol-command" />
      <div className="row" style={{ justifyContent: 'flex-end' }}><Button type="primary" onClick={ran}>{t('sensors.iRan')}</Button></div>
    </div>
  );
}

function Waiting({ token, close }: { token: TokenMade; close: () => void }) {
  const { t, language } = useWords();
  const { data } = useSensors(3_000);
  const { node, organization } = token.token;
  const sensor = data?.find((one) => one.node === node && one.organization === organization && one.revoked_at === null);
  return (
    <div className="stack">
      <p>{sensor === undefined ? t('sensors.waitingFor', { node }) : t('sensors.connected', { node })}</p>
      {sensor?.last_seen != null && <p><Outside text={t('sensors.firstData', { time: moment(sensor.last_seen, language) })} /></p>}
      <div className="row" style={{ justifyContent: 'flex-end' }}><Button type={sensor === undefined ? 'default' : 'primary'} onClick={close}>{sensor === undefined ? t('common.close') : t('common.done')}</Button></div>
    </div>
  );
}

export function EnrolWizard({ close }: { close: () => void }) {
  const { t } = useWords();
  const [token, setToken] = useState<TokenMade | null>(null);
  const [ran, setRan] = useState(false);
  const step = token === null ? 0 : ran ? 2 : 1;
  return (
    <Modal open title={t('sensors.enrol')} footer={null} onCancel={close} width={640} mask={{ closable: false }} data-test="enrol-wizard">
      <Steps size="small" current={step} items={[{ title: t('sensors.step1') }, { title: t('sensors.step2') }, { title: t('sensors.step3') }]} style={{ margin: '8px 0 16px' }} />
      {token === null ? <Where made={setToken} /> : ran ? <Waiting token={token} close={close} /> : <Command token={token} ran={() => setRan(true)} />}
    </Modal>
  );
}

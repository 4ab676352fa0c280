/** A new sensor: where it stands, the two commands to run there, and what is heard of it while the engineer runs them. */
import { Alert as Notice, Button, Form, Input, Modal, Select } from 'antd';
import { useState, type ReactNode } from 'react';

import { post } from '../../api/http';
import { useOrganizations, useSensors } from '../../api/places';
import type { Sensor, TokenMade } from '../../api/types';
import { useWords } from '../../i18n';
import { moment } from '../../i18n/format';
import { Copyable } from '../../look/Copyable';
import { useFailure } from '../../look/States';
import { Outside } from '../../look/Text';

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

/** The sensor that came of the token: one that was not there when the token was made. */
function useArrived(token: TokenMade, before: ReadonlySet<string>): Sensor | undefined {
  const { data } = useSensors(2_000);
  const { node, organization } = token.token;
  return data?.find((one) => one.node === node && one.organization === organization && one.revoked_at === null && !before.has(one.id));
}

function Step({ done, title, children }: { done: boolean; title: string; children?: ReactNode }) {
  const { t } = useWords();
  return (
    <li className={`step ${done ? 'done' : ''}`}>
      <svg width="16" height="16" viewBox="0 0 16 16" role="img" aria-label={done ? t('common.done') : t('sensors.stepOpen')}>
        <circle cx="8" cy="8" r="6.5" fill={done ? 'currentColor' : 'none'} stroke="currentColor" strokeWidth="1.5" />
        {done && <path d="M5 8.3l2.1 2.1L11.2 6" fill="none" stroke="var(--raised)" strokeWidth="1.8" />}
      </svg>
      <div className="stack" style={{ gap: 8 }}><b>{title}</b>{children}</div>
    </li>
  );
}

function Follow({ token, before, close }: { token: TokenMade; before: ReadonlySet<string>; close: () => void }) {
  const { t, language } = useWords();
  const sensor = useArrived(token, before);
  const { node } = token.token;
  const heard = sensor?.last_seen ?? null;
  return (
    <div className="stack">
      {sensor === undefined && <Notice type="warning" title={t('sensors.tokenOnce', { time: moment(token.token.expires_at, language) })} />}
      <ol className="steps">
        <Step done={sensor !== undefined} title={t('sensors.doEnrol')}>
          {sensor === undefined && (
            <>
              <span className="soft">{t('sensors.command')}</span>
              <Copyable text={token.enrol_command} test="enrol-command" />
              <dl className="facts">
                <dt>{t('sensors.collector')}</dt><dd className="mono">{token.collector_urls.map((url) => <div key={url}><Outside text={url} /></div>)}</dd>
                <dt>{t('sensors.fingerprint')}</dt><dd className="mono"><Outside text={token.authority_fingerprint} /></dd>
              </dl>
            </>
          )}
        </Step>
        <Step done={heard !== null} title={t('sensors.doRun')}>
          {heard === null && <><span className="soft">{t('sensors.runHint')}</span><Copyable text={token.run_command} test="run-command" /></>}
        </Step>
      </ol>
      <p className={`enrol-state ${sensor === undefined ? '' : 'ok'}`} role="status" data-test="enrol-state" data-state={sensor === undefined ? 'waiting' : heard === null ? 'enrolled' : 'heard'}>
        <i className={sensor === undefined ? 'dot hollow' : 'dot'} />
        <span>
          {sensor === undefined ? t('sensors.waitingFor', { node }) : heard === null ? t('sensors.enrolled', { node }) : t('sensors.connected', { node, time: moment(heard, language) })}
        </span>
      </p>
      <div className="row" style={{ justifyContent: 'flex-end' }}><Button type={sensor === undefined ? 'default' : 'primary'} onClick={close}>{sensor === undefined ? t('common.close') : t('common.done')}</Button></div>
    </div>
  );
}

export function EnrolWizard({ close }: { close: () => void }) {
  const { t } = useWords();
  const sensors = useSensors(10_000);
  const [made, setMade] = useState<{ token: TokenMade; before: ReadonlySet<string> } | null>(null);
  return (
    <Modal open title={made === null ? t('sensors.enrol') : t('sensors.enrolOf', { node: made.token.token.node })} footer={null} onCancel={close} width={640} mask={{ closable: false }} data-test="enrol-wizard">
      {made === null
        ? <Where made={(token) => setMade({ token, before: new Set((sensors.data ?? []).map((sensor) => sensor.id)) })} />
        : <Follow token={made.token} before={made.before} close={close} />}
    </Modal>
  );
}

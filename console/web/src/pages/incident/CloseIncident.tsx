/** Closing an incident asks for verdict, cause and lesson: what the yearly report will be made of. */
import { useQueryClient } from '@tanstack/react-query';
import { Alert as Notice, App, Button, Form, Input, Modal, Radio } from 'antd';
import { useState } from 'react';

import { close as closeIncident } from '../../api/incidents';
import { VERDICTS, type Incident } from '../../api/types';
import { useWords } from '../../i18n';
import { useFailure } from '../../look/States';

interface Outcome {
  verdict: string;
  cause: string;
  lesson: string;
}

export function CloseIncident({ incident, alerts, close }: { incident: Incident; alerts: number; close: () => void }) {
  const { t } = useWords();
  const { message } = App.useApp();
  const queries = useQueryClient();
  const words = useFailure();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>(null);
  const submit = async (outcome: Outcome) => {
    setBusy(true);
    setFailure(null);
    try {
      queries.setQueryData(['incident', incident.id], await closeIncident(incident, outcome));
      for (const name of ['incident', 'incidents', 'alerts', 'alert', 'overview']) void queries.invalidateQueries({ queryKey: [name] });
      void message.success(t('incident.closed', { number: incident.number }));
      close();
    } catch (error) {
      setFailure(error);
      setBusy(false);
    }
  };
  const required = { required: true, whitespace: true, message: t('common.required') };
  return (
    <Modal open title={t('incident.close')} footer={null} onCancel={close} width={520} data-test="close-incident">
      <p className="soft" style={{ marginBottom: 12 }}>{t('incident.closeEffect', { number: incident.number, n: alerts })}</p>
      {failure !== null && <Notice type="error" title={words(failure)} style={{ marginBottom: 12 }} role="alert" />}
      <Form layout="vertical" requiredMark={false} onFinish={(outcome: Outcome) => void submit(outcome)}>
        <Form.Item name="verdict" label={t('incident.verdict')} rules={[required]}>
          <Radio.Group style={{ display: 'flex', flexWrap: 'wrap', gap: 12 }}>
            {VERDICTS.map((verdict, index) => <Radio key={verdict} value={verdict} autoFocus={index === 0}>{t(`verdict.${verdict}`)}</Radio>)}
          </Radio.Group>
        </Form.Item>
        <Form.Item name="cause" label={t('incident.cause')} rules={[required]}><Input.TextArea autoSize={{ minRows: 2, maxRows: 6 }} maxLength={5000} /></Form.Item>
        <Form.Item name="lesson" label={t('incident.lesson')} rules={[required]}><Input.TextArea autoSize={{ minRows: 2, maxRows: 6 }} maxLength={5000} /></Form.Item>
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button onClick={close}>{t('common.cancel')}</Button>
          <Button type="primary" htmlType="submit" loading={busy}>{t('incident.close')}</Button>
        </div>
      </Form>
    </Modal>
  );
}

/** An incident from alerts: everything is proposed, so that Enter alone makes a sound one. */
import { Alert as Notice, App, Button, Form, Input, Modal, Select } from 'antd';
import { useState } from 'react';
import { useNavigate } from 'react-router';

import { raise, type NewIncident } from '../../api/incidents';
import { CATEGORIES, CLASSES, LEVELS, type Alert } from '../../api/types';
import { useWords } from '../../i18n';
import { Severity } from '../../look/Severity';
import { useFailure } from '../../look/States';
import { incidentClass, incidentTitle, legalCategory, worst } from './classify';

export function RaiseDialogue({ alerts, cancel, done }: { alerts: readonly Alert[]; cancel: () => void; done: () => void }) {
  const { t, pick } = useWords();
  const { message } = App.useApp();
  const navigate = useNavigate();
  const words = useFailure();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>(null);
  const first = alerts[0];
  const severity = worst(alerts);
  const severalAgencies = new Set(alerts.map((alert) => alert.organization)).size > 1;

  const submit = async (incident: NewIncident) => {
    setBusy(true);
    setFailure(null);
    try {
      const made = await raise(alerts, incident);
      void message.success(t('raise.created', { number: made.number }));
      done();
      void navigate(`/incidents/${encodeURIComponent(made.id)}`);
    } catch (error) {
      setFailure(error);
      setBusy(false);
    }
  };

  const title = first === undefined ? '' : incidentTitle(pick(first.title_vi, first.title_en), first);
  return (
    <Modal open title={t('raise.title', { n: alerts.length })} footer={null} onCancel={cancel} width={520} data-test="raise-dialogue">
      {severalAgencies && <Notice type="info" title={t('raise.severalAgencies')} style={{ marginBottom: 12 }} />}
      {failure !== null && <Notice type="error" title={words(failure)} style={{ marginBottom: 12 }} role="alert" />}
      <Form
        layout="vertical"
        requiredMark={false}
        initialValues={{ title, class: incidentClass(alerts), severity, legal_category: legalCategory(severity) }}
        onFinish={(values: NewIncident) => void submit(values)}
      >
        <Form.Item name="title" label={t('raise.titleField')} rules={[{ required: true, whitespace: true, message: t('common.required') }]}>
          <Input autoFocus maxLength={200} />
        </Form.Item>
        <Form.Item name="class" label={t('raise.class')}>
          <Select showSearch={{ optionFilterProp: 'label' }} options={CLASSES.map((code) => ({ value: code, label: `${code} · ${t(`class.${code}`)}` }))} />
        </Form.Item>
        <div className="row" style={{ alignItems: 'flex-start' }}>
          <Form.Item name="severity" label={t('raise.severity')} className="grow">
            <Select options={LEVELS.slice(0, 4).map((level) => ({ value: level, label: <Severity level={level} /> }))} />
          </Form.Item>
          <Form.Item name="legal_category" label={t('raise.category')} style={{ flex: '2 1 0', minWidth: 0 }}>
            <Select options={CATEGORIES.map((category) => ({ value: category, label: t(`category.${category}`) }))} />
          </Form.Item>
        </div>
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button onClick={cancel}>{t('common.cancel')}</Button>
          <Button type="primary" htmlType="submit" loading={busy}>{t('raise.submit')}</Button>
        </div>
      </Form>
    </Modal>
  );
}

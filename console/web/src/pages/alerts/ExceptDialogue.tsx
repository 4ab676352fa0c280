/** An exception: rule and entity of one agency, with a reason and an end. */
import { useQueryClient } from '@tanstack/react-query';
import { Alert as Notice, App, Button, Form, Input, Modal, Select } from 'antd';
import { useState } from 'react';

import { post } from '../../api/http';
import { useOrganizationName } from '../../api/places';
import type { Alert } from '../../api/types';
import { useWords } from '../../i18n';
import { useFailure } from '../../look/States';
import { Outside } from '../../look/Text';
import { entityParts } from '../alert/record';

const DAY_MS = 86_400_000;

export function ExceptDialogue({ alert, cancel, done }: { alert: Alert; cancel: () => void; done: () => void }) {
  const { t, name, pick, language } = useWords();
  const { message } = App.useApp();
  const agency = useOrganizationName();
  const queries = useQueryClient();
  const words = useFailure();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>(null);

  const submit = async ({ reason, days }: { reason: string; days: number }) => {
    setBusy(true);
    setFailure(null);
    try {
      await post('/exceptions', {
        organization: alert.organization, rule_id: alert.rule_id, entity_type: alert.entity_type, entity_value: alert.entity_value,
        reason: reason.trim(), expires_at: Date.now() + days * DAY_MS,
      });
      void message.success(t('common.created'));
      void queries.invalidateQueries({ queryKey: ['exceptions'] });
      void queries.invalidateQueries({ queryKey: ['alert', alert.id, 'why'] });
      done();
    } catch (error) {
      setFailure(error);
      setBusy(false);
    }
  };

  return (
    <Modal open title={t('except.title')} footer={null} onCancel={cancel} width={460}>
      {failure !== null && <Notice type="error" title={words(failure)} style={{ marginBottom: 12 }} role="alert" />}
      <p className="soft">{t('except.effect')}</p>
      <dl className="facts" style={{ margin: '12px 0' }}>
        <dt>{t('admin.rule')}</dt><dd><Outside text={pick(alert.title_vi, alert.title_en)} /></dd>
        {entityParts(alert.entity_type, alert.entity_value).map((part) => [
          <dt key={part.kind}>{name('entity', part.kind)}</dt>,
          <dd key={`${part.kind} value`} className="mono"><Outside text={part.value} /></dd>,
        ])}
        <dt>{t('admin.agency')}</dt><dd>{agency(alert.organization, language)}</dd>
      </dl>
      <Form layout="vertical" requiredMark={false} initialValues={{ days: 30 }} onFinish={(values: { reason: string; days: number }) => void submit(values)}>
        <Form.Item name="reason" label={t('common.reason')} rules={[{ required: true, whitespace: true, message: t('common.required') }]}>
          <Input autoFocus maxLength={1000} />
        </Form.Item>
        <Form.Item name="days" label={t('except.expires')}>
          <Select options={[7, 30, 90].map((days) => ({ value: days, label: t('except.days', { n: days }) }))} />
        </Form.Item>
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button onClick={cancel}>{t('common.cancel')}</Button>
          <Button type="primary" htmlType="submit" loading={busy}>{t('except.submit')}</Button>
        </div>
      </Form>
    </Modal>
  );
}

/** Closing asks for a verdict and a reason; the verdicts can be chosen by their number. */
import { Button, Form, Input, Modal, Radio } from 'antd';
import { useState, type KeyboardEvent } from 'react';

import { VERDICTS } from '../../api/types';
import { useWords } from '../../i18n';
import { KeyMark } from '../../look/Text';

export function CloseDialogue(props: { count: number; cancel: () => void; submit: (verdict: string, reason: string) => Promise<void> }) {
  const { t } = useWords();
  const [form] = Form.useForm<{ verdict: string; reason: string }>();
  const [busy, setBusy] = useState(false);
  const submit = async ({ verdict, reason }: { verdict: string; reason: string }) => {
    setBusy(true);
    await props.submit(verdict, reason.trim());
    setBusy(false);
  };
  const byNumber = (event: KeyboardEvent) => {
    const verdict = VERDICTS[Number(event.key) - 1];
    if (verdict === undefined) return;
    event.preventDefault();
    form.setFieldsValue({ verdict });
    form.focusField('reason');
  };
  const required = { required: true, whitespace: true, message: t('common.required') };
  return (
    <Modal open title={t('close.title', { n: props.count })} footer={null} onCancel={props.cancel} width={460} data-test="close-dialogue">
      <p className="soft" style={{ marginBottom: 12 }}>{t('close.effect')}</p>
      <Form form={form} layout="vertical" requiredMark={false} onFinish={(values) => void submit(values)}>
        <div onKeyDown={byNumber}>
          <Form.Item name="verdict" label={t('close.verdict')} rules={[required]}>
            <Radio.Group style={{ display: 'flex', flexDirection: 'column', gap: 6 }}>
              {VERDICTS.map((verdict, index) => (
                <Radio key={verdict} value={verdict} autoFocus={index === 0}>{t(`verdict.${verdict}`)} <KeyMark keys={String(index + 1)} /></Radio>
              ))}
            </Radio.Group>
          </Form.Item>
        </div>
        <Form.Item name="reason" label={t('close.reason')} rules={[required]}>
          <Input placeholder={t('close.reasonHint')} maxLength={1000} />
        </Form.Item>
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button onClick={props.cancel}>{t('common.cancel')}</Button>
          <Button type="primary" htmlType="submit" loading={busy}>{t('close.submit')}</Button>
        </div>
      </Form>
    </Modal>
  );
}

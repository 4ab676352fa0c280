/** Changing one's password: forced at the first sign-in, free later. */
import { Alert, App, Button, Form, Input, Modal } from 'antd';
import { useState } from 'react';

import { useSession } from '../../api/session';
import { useWords } from '../../i18n';
import { useFailure } from '../../look/States';
import { Frame } from './Frame';
import { passwordProblem, PASSWORD_LENGTH } from './password';

interface Fields {
  current: string;
  wanted: string;
  repeat: string;
}

function PasswordForm({ done }: { done: () => void }) {
  const { t } = useWords();
  const { message } = App.useApp();
  const { changePassword } = useSession();
  const words = useFailure();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>(null);

  const submit = async (fields: Fields) => {
    setBusy(true);
    setFailure(null);
    try {
      await changePassword(fields.current, fields.wanted);
      void message.success(t('password.changed'));
      done();
    } catch (error) {
      setFailure(error);
    } finally {
      setBusy(false);
    }
  };

  const required = { required: true, message: t('common.required') };
  return (
    <Form layout="vertical" requiredMark={false} onFinish={(fields: Fields) => void submit(fields)}>
      {failure !== null && <Form.Item><Alert type="error" title={words(failure)} role="alert" /></Form.Item>}
      <Form.Item name="current" label={t('password.current')} rules={[required]}>
        <Input.Password autoFocus autoComplete="current-password" />
      </Form.Item>
      <Form.Item
        name="wanted"
        label={t('password.new')}
        extra={t('password.rule', { n: PASSWORD_LENGTH })}
        dependencies={['current']}
        rules={[required, (form) => ({
          validator: async (_, wanted: string | undefined) => {
            const problem = wanted === undefined ? null : passwordProblem(form.getFieldValue('current') as string | undefined, wanted);
            if (problem !== null) throw new Error(t(problem, { n: PASSWORD_LENGTH }));
            return Promise.resolve();
          },
        })]}
      >
        <Input.Password autoComplete="new-password" />
      </Form.Item>
      <Form.Item
        name="repeat"
        label={t('password.repeat')}
        dependencies={['wanted']}
        rules={[required, (form) => ({
          validator: async (_, repeat: string | undefined) => {
            if (repeat !== undefined && repeat !== form.getFieldValue('wanted')) throw new Error(t('password.differs'));
            return Promise.resolve();
          },
        })]}
      >
        <Input.Password autoComplete="new-password" />
      </Form.Item>
      <Button type="primary" htmlType="submit" block loading={busy}>{t('password.submit')}</Button>
    </Form>
  );
}

/** At the first sign-in there is nothing else to do. */
export function ChangePassword() {
  const { t } = useWords();
  return (
    <Frame>
      <p className="soft">{t('password.forced')}</p>
      <PasswordForm done={() => undefined} />
    </Frame>
  );
}

export function PasswordDialogue({ close }: { close: () => void }) {
  const { t } = useWords();
  return (
    <Modal open title={t('password.title')} footer={null} onCancel={close} width={380} destroyOnHidden>
      <PasswordForm done={close} />
    </Modal>
  );
}

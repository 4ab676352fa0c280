/** Name and password; the console answers what was wrong, the page repeats it. */
import { Alert, Button, Form, Input } from 'antd';
import { useState } from 'react';

import { useSession } from '../../api/session';
import { useWords } from '../../i18n';
import { useFailure } from '../../look/States';
import { Frame } from './Frame';

export function SignIn() {
  const { t } = useWords();
  const { signIn, expired } = useSession();
  const words = useFailure();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>(null);

  const submit = async ({ login, password }: { login: string; password: string }) => {
    setBusy(true);
    setFailure(null);
    try {
      await signIn(login.trim(), password);
    } catch (error) {
      setFailure(error);
      setBusy(false);
    }
  };

  return (
    <Frame>
      {expired && failure === null && <Alert type="warning" title={t('signin.expired')} />}
      {failure !== null && <Alert type="error" title={words(failure)} role="alert" />}
      <Form layout="vertical" requiredMark={false} onFinish={(values: { login: string; password: string }) => void submit(values)}>
        <Form.Item name="login" label={t('signin.user')} rules={[{ required: true, message: t('common.required') }]}>
          <Input autoFocus autoComplete="username" autoCapitalize="none" spellCheck={false} size="large" />
        </Form.Item>
        <Form.Item name="password" label={t('signin.password')} rules={[{ required: true, message: t('common.required') }]}>
          <Input.Password autoComplete="current-password" size="large" />
        </Form.Item>
        <Button type="primary" htmlType="submit" block size="large" loading={busy}>{t('signin.submit')}</Button>
      </Form>
      <p className="faint">{t('signin.notice')}</p>
    </Frame>
  );
}

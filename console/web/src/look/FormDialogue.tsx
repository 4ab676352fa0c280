/** A form in a dialogue: sends once, keeps what was typed when the console refuses, says why. */
import { Alert as Notice, Button, Form, Modal } from 'antd';
import { useState, type ReactNode } from 'react';

import { useWords } from '../i18n';
import { useFailure } from './States';

interface Props<Values extends object> {
  title: string;
  act: string;
  initial?: Partial<Values>;
  close: () => void;
  /** The dialogue closes when it resolves, and tells the error when it rejects. */
  submit: (values: Values) => Promise<void>;
  children: ReactNode;
}

export function FormDialogue<Values extends object>({ title, act, initial, close, submit, children }: Props<Values>) {
  const { t } = useWords();
  const words = useFailure();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>(null);
  const send = async (values: Values) => {
    setBusy(true);
    setFailure(null);
    try {
      await submit(values);
      close();
    } catch (error) {
      setFailure(error);
      setBusy(false);
    }
  };
  return (
    <Modal open title={title} footer={null} onCancel={close} width={480} mask={{ closable: false }} data-test="form-dialogue">
      {failure !== null && <Notice type="error" title={words(failure)} style={{ marginBottom: 12 }} role="alert" />}
      <Form layout="vertical" requiredMark={false} {...(initial === undefined ? {} : { initialValues: initial })} onFinish={(values: Values) => void send(values)}>
        {children}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button onClick={close}>{t('common.cancel')}</Button>
          <Button type="primary" htmlType="submit" loading={busy}>{act}</Button>
        </div>
      </Form>
    </Modal>
  );
}

/** The rule "must be filled" in the language of the page. */
export function useRequired() {
  const { t } = useWords();
  return { required: true, message: t('common.required') };
}

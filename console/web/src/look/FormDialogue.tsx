/** A form in a dialogue: sends once, keeps what was typed when the console refuses, says why. */
import { Alert as Notice, Button, Form, Modal, type FormInstance } from 'antd';
import { useState, type ReactNode } from 'react';

import { ApiError } from '../api/http';
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
  /** Something that stands at the left of the buttons, given what is typed. */
  extra?: ReactNode;
}

/** Puts the words of a refusal under the field that it names (`settings.host` is `host`); false where the form shows no such field. */
export function atField<Values extends object>(form: FormInstance<Values>, error: unknown, words: string): boolean {
  const told = error instanceof ApiError ? error.field.split('.').find((part) => part !== 'settings' && part !== '') : undefined;
  const name = told?.replace(/\[\d+\]$/, '');
  if (name === undefined || !Object.hasOwn(form.getFieldsValue(), name)) return false;
  form.setFields([{ name, errors: [words] } as Parameters<typeof form.setFields>[0][number]]);
  form.scrollToField(name as Parameters<typeof form.scrollToField>[0], { block: 'center', focus: true });
  return true;
}

export function FormDialogue<Values extends object>({ title, act, initial, close, submit, children, extra }: Props<Values>) {
  const { t } = useWords();
  const words = useFailure();
  const [form] = Form.useForm<Values>();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>(null);
  const send = async (values: Values) => {
    setBusy(true);
    setFailure(null);
    try {
      await submit(values);
      close();
    } catch (error) {
      if (!atField(form, error, words(error))) setFailure(error);
      setBusy(false);
    }
  };
  return (
    <Modal open title={title} footer={null} onCancel={close} width={480} mask={{ closable: false }} data-test="form-dialogue">
      {failure !== null && <Notice type="error" title={words(failure)} style={{ marginBottom: 12 }} role="alert" />}
      <Form form={form} layout="vertical" requiredMark={false} {...(initial === undefined ? {} : { initialValues: initial })} onFinish={(values: Values) => void send(values)}>
        {children}
        <div className="row">
          {extra}
          <span className="grow" />
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

/** A command or a secret in full, with a button that copies it. */
import { App, Button } from 'antd';

import { useWords } from '../i18n';

export function Copyable({ text, test }: { text: string; test?: string }) {
  const { t } = useWords();
  const { message } = App.useApp();
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    void message.success(t('common.copied'));
  };
  return (
    <div className="stack" style={{ gap: 6 }}>
      <pre className="raw" tabIndex={0} data-test={test}>{text}</pre>
      <Button size="small" style={{ alignSelf: 'flex-start' }} onClick={() => void copy()}>{t('common.copy')}</Button>
    </div>
  );
}

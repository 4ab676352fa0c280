/** Asks before something is taken away: says what will happen and to what, and for a reason where one is kept. */
import { App, Input } from 'antd';

import { useWords } from '../i18n';

interface Question {
  title: string;
  effect: string;
  act: string;
  asksReason?: boolean;
  run: (reason: string) => Promise<void>;
}

export function useConfirm(): (question: Question) => void {
  const { modal } = App.useApp();
  const { t } = useWords();
  return (question) => {
    let reason = '';
    const asks = question.asksReason === true;
    const shown = modal.confirm({
      title: question.title,
      icon: null,
      content: (
        <div className="stack">
          <span>{question.effect}</span>
          {asks && (
            <Input
              autoFocus
              placeholder={t('common.reason')}
              aria-label={t('common.reason')}
              maxLength={1000}
              onChange={(event) => {
                reason = event.target.value.trim();
                shown.update({ okButtonProps: { danger: true, disabled: reason === '' } });
              }}
            />
          )}
        </div>
      ),
      okText: question.act,
      okButtonProps: { danger: true, disabled: asks },
      cancelText: t('common.cancel'),
      onOk: () => question.run(reason),
    });
  };
}

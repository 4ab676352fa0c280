/** An act of the administration: sends, reads the list again, tells success or failure. */
import { useQueryClient } from '@tanstack/react-query';
import { App } from 'antd';

import { useWords, type Key } from '../../i18n';
import { useFailure } from '../../look/States';

/** `list` is the name of the query that the act changes. */
export function useAct(list: string): (work: () => Promise<unknown>, done: Key) => Promise<void> {
  const { t } = useWords();
  const { message } = App.useApp();
  const queries = useQueryClient();
  const words = useFailure();
  return async (work, done) => {
    try {
      await work();
      void message.success(t(done));
    } catch (error) {
      void message.error(words(error), 6);
    }
    await queries.invalidateQueries({ queryKey: [list] });
  };
}

/** What can be done with one value: narrow to it, leave it out, copy it. Seen when its line is under the hand or has the focus. */
import { App } from 'antd';

import { useWords, type Key } from '../../i18n';
import { Icon, type IconName } from '../../look/icons';
import { visible } from '../../look/visible';
import type { Filter } from './query';

interface Props {
  field: string;
  value: string;
  add: (filter: Filter) => void;
  /** Something that stands behind the three. */
  more?: { icon: IconName; word: Key; run: () => void };
}

function Act({ icon, words, run }: { icon: IconName; words: string; run: () => void }) {
  return (
    <button
      type="button"
      className="act"
      aria-label={words}
      title={words}
      onClick={(event) => {
        event.stopPropagation();
        run();
      }}
    >
      <Icon name={icon} size={14} />
    </button>
  );
}

export function ValueActions({ field, value, add, more }: Props) {
  const { t } = useWords();
  const { message } = App.useApp();
  const what = { field, value: visible(value).slice(0, 80) };
  const copy = async () => {
    await navigator.clipboard.writeText(value);
    void message.success(t('common.copied'));
  };
  return (
    <span className="acts">
      <Act icon="include" words={t('hunt.include', what)} run={() => add({ field, operator: 'is', value })} />
      <Act icon="exclude" words={t('hunt.exclude', what)} run={() => add({ field, operator: 'is_not', value })} />
      <Act icon="copy" words={t('hunt.copyValue', what)} run={() => void copy()} />
      {more !== undefined && <Act icon={more.icon} words={t(more.word, what)} run={more.run} />}
    </span>
  );
}

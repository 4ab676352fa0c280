/** The switch between what is real, what belongs to a drill, and both; and its place in the address. */
import { Segmented } from 'antd';
import { useCallback, type ReactNode } from 'react';
import { useSearchParams } from 'react-router';

import { DRILLS, nextDrill, readDrill, type Drill } from '../api/alerts';
import { useWords } from '../i18n';

interface Props {
  drill: Drill;
  choose: (drill: Drill) => void;
  /** Stands behind the word for drills, for example how many there are. */
  beside?: ReactNode;
}

export function DrillSwitch({ drill, choose, beside }: Props) {
  const { t } = useWords();
  return (
    <Segmented
      size="small"
      data-test="drill"
      aria-label={t('drill.switch')}
      title={`${t('drill.switch')} (d)`}
      value={drill}
      options={DRILLS.map((mode) => ({ value: mode, label: mode === 'only' ? <>{t('drill.only')}{beside}</> : t(`drill.${mode}`) }))}
      onChange={choose}
    />
  );
}

/** The mark of what belongs to a drill. */
export function DrillMark() {
  const { t } = useWords();
  return <span className="tag drill" title={t('common.drill')} aria-label={t('common.drill')} role="img">{t('common.drillShort')}</span>;
}

/** The switch of a page whose address holds nothing else about its list; `next` is for the key `d`. */
export function useDrill(): { drill: Drill; setDrill: (drill: Drill) => void; next: () => void } {
  const [parameters, setParameters] = useSearchParams();
  const drill = readDrill(parameters.get('drill'));
  const setDrill = useCallback((chosen: Drill) => {
    setParameters((before) => {
      const after = new URLSearchParams(before);
      if (chosen === 'exclude') after.delete('drill');
      else after.set('drill', chosen);
      return after;
    }, { replace: true });
  }, [setParameters]);
  // The address is ahead of the page: a key that is pressed twice goes two places on.
  const now = () => readDrill(new URLSearchParams(window.location.search).get('drill'));
  return { drill, setDrill, next: () => setDrill(nextDrill(now())) };
}

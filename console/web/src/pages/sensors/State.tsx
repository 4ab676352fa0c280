/** The state of a sensor as a mark and a word. */
import { useWords } from '../../i18n';
import type { SensorState } from './state';

const DOTS = { online: 'dot', silent: 'dot off', waiting: 'dot hollow', revoked: 'dot hollow' } as const;

export function State({ state }: { state: SensorState }) {
  const { t } = useWords();
  return <span className={`live ${state === 'revoked' ? 'faint' : ''}`}><i className={DOTS[state]} />{t(`sensors.${state}`)}</span>;
}

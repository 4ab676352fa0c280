/** What a sensor told of its queues, its kept packets, its relay and its packs, where it has them. */
import { useWords } from '../../i18n';
import { Outside } from '../../look/Text';
import { packVersions, queueLosses, reading, relayInputs } from './state';

export function Told({ health }: { health: Record<string, unknown> | null }) {
  const { t, number } = useWords();
  const losses = queueLosses(health);
  const [refused, packs, inputs] = [reading(health, ['refused_events']), packVersions(health), relayInputs(health)];
  return (
    <>
      {losses.map(({ word, n }) => [<dt key={word}>{t(word)}</dt>, <dd key={`${word} value`} className={n > 0 ? 'high' : undefined}>{number(n, 0)}</dd>])}
      {refused !== null && refused > 0 && <><dt>{t('sensors.refused')}</dt><dd className="high">{number(refused, 0)}</dd></>}
      {packs.length > 0 && <><dt>{t('sensors.packs')}</dt><dd data-test="sensor-packs"><Outside text={packs.join(', ')} /></dd></>}
      {inputs.map(({ name, on, records, dropped, problem }) => (
        <div key={name} style={{ display: 'contents' }} data-test="sensor-relay">
          <dt>{t('sensors.relay')} <Outside text={name} /></dt>
          <dd className={dropped > 0 || problem !== null ? 'high' : undefined}>
            {on ? t('sensors.relayed', { records: number(records, 0), dropped: number(dropped, 0) }) : t('sensors.relayOff')}
            {problem !== null && <div><Outside text={problem} /></div>}
          </dd>
        </div>
      ))}
    </>
  );
}

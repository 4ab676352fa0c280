/** The line at the bottom: how the system itself is doing. What is not known is said so, never shown as nought. */
import { useLive } from '../api/live';
import { useWords } from '../i18n';
import { span } from '../i18n/format';

export function StatusLine() {
  const { t, number } = useWords();
  const { health } = useLive();
  if (health === undefined) return <footer className="foot">{t('line.unknown')}</footer>;
  const { events_per_second: rate, lag_ms: lag, blind_percent: blind } = health;
  return (
    <footer className="foot" data-test="status">
      {rate !== null && <span>{t('line.events', { rate: number(rate, rate < 10 ? 1 : 0) })}</span>}
      <span>{t('line.nodes', { online: health.sensors_online, all: health.sensors })}</span>
      {lag !== null && <span>{t('line.lag', { span: span(lag) })}</span>}
      {blind !== null && <span>{t('line.blind', { n: blind })}</span>}
      <span className="grow" />
      <span>{t('line.version', { version: health.version })}</span>
    </footer>
  );
}

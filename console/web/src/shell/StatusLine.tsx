/** The line at the bottom: how the system itself is doing. What is not known is said so, never shown as nought. */
import { useLive } from '../api/live';
import { useWords } from '../i18n';

export function StatusLine() {
  const { t, number } = useWords();
  const { figures } = useLive();
  if (figures === null) return <footer className="foot">{t('line.unknown')}</footer>;
  const rate = figures.events_last_minute === null ? null : figures.events_last_minute / 60;
  return (
    <footer className="foot" data-test="status">
      <span>{rate === null ? t('line.noStore') : t('line.events', { rate: number(rate, rate < 10 ? 1 : 0) })}</span>
      <span>{t('line.nodes', { online: figures.sensors_online, all: figures.sensors_total })}</span>
      <span>{t('line.openAlerts', { n: figures.open_alerts })}</span>
      <span className="grow" />
      <span>{t('line.version', { version: figures.version })}</span>
    </footer>
  );
}

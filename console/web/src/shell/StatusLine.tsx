/** The line at the bottom: how the system itself is doing. What is not known is said so, what is old carries its age. */
import { useLive } from '../api/live';
import { useWords } from '../i18n';
import { Age } from '../look/Age';

export function StatusLine() {
  const { t, number } = useWords();
  const { figures, line, heardAt } = useLive();
  const stale = line !== 'live';
  const age = stale && heardAt !== null && <span className="stale" data-test="stale"><Age word="line.stale" at={heardAt} /></span>;
  if (figures === null) return <footer className="foot" data-test="status">{t('line.unknown')}{age}</footer>;
  const rate = figures.events_last_minute === null ? null : figures.events_last_minute / 60;
  return (
    <footer className={`foot ${stale ? 'old' : ''}`} data-test="status">
      {age}
      <span>{rate === null ? t('line.noStore') : t('line.events', { rate: number(rate, rate < 10 ? 1 : 0) })}</span>
      <span>{t('line.nodes', { online: figures.sensors_online, all: figures.sensors_total })}</span>
      <span title={t('line.withoutDrill')}>{t('line.openAlerts', { n: figures.open_alerts })}</span>
      <span className="grow" />
      <span>{t('line.version', { version: figures.version })}</span>
    </footer>
  );
}

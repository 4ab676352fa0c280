/** What can be done with the selected alerts; floats over the list so that nothing moves when it comes. */
import { Button, Tooltip } from 'antd';

import type { Alert } from '../../api/types';
import { useWords } from '../../i18n';
import { KeyMark } from '../../look/Text';
import { useTriage } from './triage';

export function BulkBar({ alerts, clear }: { alerts: readonly Alert[]; clear: () => void }) {
  const { t } = useWords();
  const triage = useTriage();
  const closed = alerts.every((alert) => alert.state === 'closed');
  return (
    <div className="bulk" role="toolbar" aria-label={t('common.actions')} data-test="bulk">
      <b>{t('alerts.selected', { n: alerts.length })}</b>
      <Button size="small" onClick={() => void triage.assignToMe(alerts).then(clear)}>{t('alerts.assignMe')} <KeyMark keys="a" /></Button>
      <Button size="small" onClick={() => void triage.acknowledge(alerts).then(clear)}>{t('alerts.acknowledge')} <KeyMark keys="t" /></Button>
      <Button size="small" onClick={() => triage.ask('raise', alerts, clear)}>{t('alerts.raise')} <KeyMark keys="i" /></Button>
      {closed
        ? <Button size="small" onClick={() => void triage.reopen(alerts).then(clear)}>{t('alerts.reopen')}</Button>
        : <Button size="small" onClick={() => triage.ask('close', alerts, clear)}>{t('alerts.close')} <KeyMark keys="e" /></Button>}
      <Tooltip title={`${t('alerts.clearSelection')} (Esc)`}>
        <Button size="small" type="text" onClick={clear} aria-label={t('alerts.clearSelection')}>✕</Button>
      </Tooltip>
    </div>
  );
}

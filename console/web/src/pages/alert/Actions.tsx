/** The acts on one alert, each with its key. */
import { Button } from 'antd';

import { useSession } from '../../api/session';
import type { Alert } from '../../api/types';
import { useWords } from '../../i18n';
import { KeyMark } from '../../look/Text';
import { useTriage } from '../alerts/triage';

export function Actions({ alert }: { alert: Alert }) {
  const { t } = useWords();
  const { me, mayWrite } = useSession();
  const triage = useTriage();
  if (!mayWrite) return null;
  const one = [alert];
  const closed = alert.state === 'closed';
  return (
    <>
      {alert.owner !== me?.id && !closed && <Button size="small" onClick={() => void triage.assignToMe(one)}>{t('alerts.assignMe')} <KeyMark keys="a" /></Button>}
      {alert.state === 'new' && <Button size="small" onClick={() => void triage.acknowledge(one)}>{t('alerts.acknowledge')} <KeyMark keys="t" /></Button>}
      {alert.incident === null && !closed && <Button size="small" onClick={() => triage.ask('raise', one)}>{t('alerts.raise')} <KeyMark keys="i" /></Button>}
      {closed
        ? <Button size="small" onClick={() => void triage.reopen(one)}>{t('alerts.reopen')}</Button>
        : <Button size="small" onClick={() => triage.ask('close', one)}>{t('alerts.close')} <KeyMark keys="e" /></Button>}
      <Button size="small" type="text" onClick={() => triage.ask('except', one)}>{t('alerts.except')}</Button>
    </>
  );
}

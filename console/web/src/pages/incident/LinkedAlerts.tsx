/** The alerts of an incident. */
import { useQueryClient } from '@tanstack/react-query';
import { App, Button } from 'antd';
import { Link, useNavigate } from 'react-router';

import { unlink } from '../../api/incidents';
import { useSession } from '../../api/session';
import type { Alert, Incident } from '../../api/types';
import { useWords } from '../../i18n';
import { Severity } from '../../look/Severity';
import { Empty, useFailure } from '../../look/States';
import { entityText } from '../alert/record';
import { Cut, Time } from '../../look/Text';

export function LinkedAlerts({ incident, alerts }: { incident: Incident; alerts: readonly Alert[] }) {
  const { t, pick, number } = useWords();
  const { message } = App.useApp();
  const { mayWrite } = useSession();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const words = useFailure();
  const acts = mayWrite && incident.status !== 'closed';
  const takeOut = async (alert: Alert) => {
    try {
      await unlink(incident, alert.id);
      void message.success(t('incident.unlinked'));
      await queries.invalidateQueries({ queryKey: ['incident', incident.id] });
      await queries.invalidateQueries({ queryKey: ['alerts'] });
    } catch (error) {
      void message.error(words(error), 6);
    }
  };
  if (alerts.length === 0) return <Empty text={t('incident.noAlerts')} />;
  return (
    <table className="list fixed">
      <thead>
        <tr>
          <th style={{ width: 126 }}>{t('alerts.colLevel')}</th><th style={{ width: 104 }}>{t('alerts.colTime')}</th><th>{t('alerts.colTitle')}</th>
          <th style={{ width: '20%' }}>{t('alerts.colEntity')}</th><th className="number" style={{ width: 72 }}>{t('alerts.colCount')}</th><th style={{ width: 110 }}>{t('alerts.colState')}</th>
          {acts && <th style={{ width: 132 }} />}
        </tr>
      </thead>
      <tbody>
        {alerts.map((alert) => (
          <tr key={alert.id} className="go" onClick={() => void navigate(`/alerts/${encodeURIComponent(alert.id)}`)}>
            <td><Severity level={alert.level} /></td>
            <td><Time at={alert.last_seen} brief /></td>
            <td><Link to={`/alerts/${encodeURIComponent(alert.id)}`} style={{ color: 'inherit' }}><Cut text={pick(alert.title_vi, alert.title_en)} /></Link></td>
            <td><Cut text={entityText(alert)} mono /></td>
            <td className="number">{number(alert.count)}</td>
            <td>{t(`state.${alert.state}`)}</td>
            {acts && (
              <td>
                <Button
                  size="small"
                  type="text"
                  onClick={(event) => {
                    event.stopPropagation();
                    void takeOut(alert);
                  }}
                >
                  {t('incident.unlink')}
                </Button>
              </td>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

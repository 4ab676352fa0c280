/** The sensors: who is heard, who is not, and how a new one comes in. */
import { useQueryClient } from '@tanstack/react-query';
import { App, Button } from 'antd';
import { useState } from 'react';

import { post } from '../../api/http';
import { useOrganizationName, useSensors } from '../../api/places';
import { useSession } from '../../api/session';
import type { Sensor } from '../../api/types';
import { useWords } from '../../i18n';
import { useConfirm } from '../../look/Confirm';
import { Empty, Loaded, useFailure } from '../../look/States';
import { Cut, Time } from '../../look/Text';
import { useScope } from '../../shell/scope';
import { EnrolWizard } from './EnrolWizard';
import { reading, sensorState } from './state';

const DOTS = { online: 'dot', silent: 'dot off', waiting: 'dot hollow', revoked: 'dot off' } as const;

function Row({ sensor, revoke }: { sensor: Sensor; revoke: (() => void) | null }) {
  const { t, number, language } = useWords();
  const agency = useOrganizationName();
  const state = sensorState(sensor);
  const figure = (names: readonly string[]) => {
    const value = reading(sensor.health, names);
    return value === null ? <span className="faint">–</span> : number(value, 0);
  };
  const version = sensor.health?.['version'];
  return (
    <tr>
      <td><Cut text={sensor.node} mono /></td>
      <td><Cut text={agency(sensor.organization, language)} /></td>
      <td><span className="live"><i className={DOTS[state]} />{t(`sensors.${state}`)}</span></td>
      <td><Time at={sensor.last_seen} brief /></td>
      <td className="number">{figure(['packets_per_second', 'packets'])}</td>
      <td className="number">{figure(['drops', 'packets_dropped', 'dropped'])}</td>
      <td className="number">{figure(['spool_events', 'spool_batches', 'spool_bytes'])}</td>
      <td className="mono faint">{typeof version === 'string' ? <Cut text={version} mono /> : '–'}</td>
      <td><Time at={sensor.not_after} brief /></td>
      {revoke !== null && <td>{state !== 'revoked' && <Button size="small" type="text" onClick={revoke}>{t('sensors.revoke')}</Button>}</td>}
    </tr>
  );
}

export default function SensorsPage() {
  const { t } = useWords();
  const { message } = App.useApp();
  const { isAdministrator } = useSession();
  const { organization } = useScope();
  const queries = useQueryClient();
  const confirm = useConfirm();
  const words = useFailure();
  const sensors = useSensors(10_000);
  const [enrolling, setEnrolling] = useState(false);

  const revoke = (sensor: Sensor) => {
    confirm({
      title: t('sensors.revokeTitle', { node: sensor.node }),
      effect: t('sensors.revokeEffect'),
      act: t('sensors.revoke'),
      asksReason: true,
      run: async (reason) => {
        try {
          await post(`/sensors/${encodeURIComponent(sensor.id)}/revoke`, { reason });
          await queries.invalidateQueries({ queryKey: ['sensors'] });
        } catch (error) {
          void message.error(words(error), 6);
        }
      },
    });
  };

  return (
    <div className="page">
      <div className="head">
        <h1 className="grow">{t('sensors.title')}</h1>
        {isAdministrator && <Button type="primary" onClick={() => setEnrolling(true)} data-test="enrol">{t('sensors.enrol')}</Button>}
      </div>
      <section className="panel"><div className="flush">
        <Loaded query={sensors} lines={10}>
          {(all) => {
            const shown = all.filter((sensor) => organization === '' || sensor.organization === organization);
            if (shown.length === 0) return <Empty text={t('sensors.empty')}>{isAdministrator && <Button onClick={() => setEnrolling(true)}>{t('sensors.enrol')}</Button>}</Empty>;
            return (
              <table className="list fixed">
                <thead>
                  <tr>
                    <th style={{ width: '18%' }}>{t('sensors.node')}</th><th>{t('sensors.agency')}</th><th style={{ width: 120 }}>{t('sensors.state')}</th><th style={{ width: 132 }}>{t('sensors.lastSeen')}</th>
                    <th className="number" style={{ width: 104 }}>{t('sensors.packets')}</th><th className="number" style={{ width: 112 }}>{t('sensors.drops')}</th>
                    <th className="number" style={{ width: 112 }}>{t('sensors.spool')}</th><th style={{ width: 92 }}>{t('sensors.version')}</th><th style={{ width: 132 }}>{t('sensors.certificate')}</th>
                    {isAdministrator && <th style={{ width: 92 }} />}
                  </tr>
                </thead>
                <tbody>{shown.map((sensor) => <Row key={sensor.id} sensor={sensor} revoke={isAdministrator ? () => revoke(sensor) : null} />)}</tbody>
              </table>
            );
          }}
        </Loaded>
      </div></section>
      {enrolling && <EnrolWizard close={() => setEnrolling(false)} />}
    </div>
  );
}

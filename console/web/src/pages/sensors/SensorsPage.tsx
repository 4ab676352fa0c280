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
import { DrillMark, DrillSwitch, useDrill } from '../../look/DrillSwitch';
import { Empty, Loaded, useFailure } from '../../look/States';
import { Cut, Time } from '../../look/Text';
import { useKeys } from '../../shell/keyboard';
import { useScope } from '../../shell/scope';
import { EnrolWizard } from './EnrolWizard';
import { FIGURES, reading, sensorState } from './state';
import { SensorDrawer } from './SensorDrawer';
import { State } from './State';

function Row({ sensor, current, marked, choose }: { sensor: Sensor; current: boolean; marked: boolean; choose: () => void }) {
  const { number, language } = useWords();
  const agency = useOrganizationName();
  const version = sensor.health?.['version'];
  return (
    <tr className={`go ${current ? 'current' : ''}`} onClick={choose} data-test="sensor">
      <td><span className="row">{marked && sensor.drill && <DrillMark />}<button type="button" className="plain cut" style={{ maxWidth: '100%' }} onClick={choose}><Cut text={sensor.node} mono /></button></span></td>
      <td><Cut text={agency(sensor.organization, language)} /></td>
      <td><State state={sensorState(sensor)} /></td>
      <td><Time at={sensor.last_seen} brief /></td>
      {FIGURES.map(({ word, names }) => {
        const value = reading(sensor.health, names);
        return <td key={word} className="number">{value === null ? <span className="faint">–</span> : number(value, 0)}</td>;
      })}
      <td>{typeof version === 'string' ? <Cut text={version} mono className="faint" /> : <span className="faint">–</span>}</td>
      <td><Cut text={sensor.owner ?? ''} /></td>
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
  const { drill, setDrill, next } = useDrill();
  const sensors = useSensors(10_000, drill);
  const [enrolling, setEnrolling] = useState(false);
  const [chosen, setChosen] = useState<string | null>(null);

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

  const shown = (sensors.data ?? []).filter((sensor) => organization === '' || sensor.organization === organization);
  const at = shown.findIndex((sensor) => sensor.id === chosen);
  const current = shown[at];
  const move = (step: number) => {
    const next = shown[Math.min(Math.max(at + step, 0), shown.length - 1)];
    if (next !== undefined) setChosen(next.id);
  };
  useKeys({ d: next, j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), Escape: () => setChosen(null) });

  return (
    <div className="page fixed">
      <div className="queue">
        <div className="left page">
          <div className="head">
            <h1 className="grow">{t('sensors.title')}</h1>
            <DrillSwitch drill={drill} choose={setDrill} />
            {isAdministrator && <Button type="primary" onClick={() => setEnrolling(true)} data-test="enrol">{t('sensors.enrol')}</Button>}
          </div>
          <section className="panel"><div className="flush">
            <Loaded query={sensors} lines={10}>
              {() => (shown.length === 0 ? <Empty text={t('sensors.empty')}>{isAdministrator && <Button onClick={() => setEnrolling(true)}>{t('sensors.enrol')}</Button>}</Empty> : (
                <table className="list fixed sensors">
                  <thead>
                    <tr>
                      <th style={{ width: '18%' }}>{t('sensors.node')}</th><th>{t('sensors.agency')}</th><th style={{ width: 120 }}>{t('sensors.state')}</th><th style={{ width: 132 }}>{t('sensors.lastSeen')}</th>
                      {FIGURES.map(({ word }) => <th key={word} className="number" style={{ width: 108 }}>{t(word)}</th>)}
                      <th style={{ width: 84 }}>{t('sensors.version')}</th><th style={{ width: '14%' }}>{t('admin.owner')}</th>
                    </tr>
                  </thead>
                  <tbody>{shown.map((sensor) => <Row key={sensor.id} sensor={sensor} current={sensor.id === chosen} marked={drill === 'include'} choose={() => setChosen(sensor.id)} />)}</tbody>
                </table>
              ))}
            </Loaded>
          </div></section>
        </div>
        {current !== undefined && <SensorDrawer sensor={current} edits={isAdministrator && current.revoked_at === null} close={() => setChosen(null)} revoke={isAdministrator && current.revoked_at === null ? () => revoke(current) : null} />}
      </div>
      {enrolling && <EnrolWizard close={() => setEnrolling(false)} />}
    </div>
  );
}

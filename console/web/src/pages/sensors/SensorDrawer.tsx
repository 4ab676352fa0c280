/** One sensor: what it last told, its certificate, and whom to call; administrators say who that is and how long it may be quiet. */
import { useQueryClient } from '@tanstack/react-query';
import { App, Button, Form, Input, InputNumber } from 'antd';
import { useState } from 'react';

import { ApiError, patch } from '../../api/http';
import { useOrganizationName } from '../../api/places';
import type { Sensor } from '../../api/types';
import { useWords } from '../../i18n';
import { DrawerFrame } from '../../look/DrawerFrame';
import { Icon } from '../../look/icons';
import { useFailure } from '../../look/States';
import { Outside, Time } from '../../look/Text';
import { Configure } from './Configure';
import { FIGURES, SIGHT, accountWord, configurationWord, reading, sensorState } from './state';
import { State } from './State';
import { Told } from './Told';

interface Fields {
  owner?: string;
  minutes: number;
}

/** The two things about a sensor that people decide. */
function Keeper({ sensor }: { sensor: Sensor }) {
  const { t } = useWords();
  const { message } = App.useApp();
  const queries = useQueryClient();
  const words = useFailure();
  const [form] = Form.useForm<Fields>();
  const [busy, setBusy] = useState(false);
  const save = async ({ owner, minutes }: Fields) => {
    setBusy(true);
    try {
      await patch(`/sensors/${encodeURIComponent(sensor.id)}`, { owner: owner?.trim() ?? '', quiet_after_seconds: minutes * 60, version: sensor.version });
      void message.success(t('common.saved'));
    } catch (error) {
      const field = error instanceof ApiError ? error.field : '';
      if (field === 'owner' || field === 'quiet_after_seconds') form.setFields([{ name: field === 'owner' ? 'owner' : 'minutes', errors: [words(error)] }]);
      else void message.error(words(error), 6);
    }
    await queries.invalidateQueries({ queryKey: ['sensors'] });
    setBusy(false);
  };
  return (
    <Form<Fields> form={form} layout="vertical" requiredMark={false} initialValues={{ owner: sensor.owner ?? '', minutes: Math.round(sensor.quiet_after_seconds / 60) }} onFinish={(fields) => void save(fields)} data-test="sensor-form">
      <Form.Item name="owner" label={t('admin.owner')}><Input maxLength={200} /></Form.Item>
      <Form.Item name="minutes" label={t('sensors.quietAfter')} rules={[{ required: true, message: t('common.required') }]}><InputNumber min={1} max={1440} precision={0} suffix={t('admin.minutesUnit')} style={{ width: '100%' }} /></Form.Item>
      <Button type="primary" size="small" htmlType="submit" loading={busy}>{t('common.save')}</Button>
    </Form>
  );
}

/** What the centre wants of it, and what became of that, in the sensor's own words. */
function Configuration({ of }: { of: Sensor['configuration'] }) {
  const { t } = useWords();
  const { word, odd } = configurationWord(of);
  return (
    <>
      <dt>{t('sensors.configuration')}</dt>
      <dd className={odd ? 'high' : undefined} data-test="sensor-configuration">{t(word, { applied: of.applied ?? 0, wanted: of.wanted })}</dd>
      {of.why_not !== null && <><dt>{t('sensors.configurationWhy')}</dt><dd><Outside text={of.why_not} /></dd></>}
    </>
  );
}

export function SensorDrawer({ sensor, edits, close, revoke }: { sensor: Sensor; edits: boolean; close: () => void; revoke: (() => void) | null }) {
  const { t, number, span, language } = useWords();
  const agency = useOrganizationName();
  const [configuring, setConfiguring] = useState(false);
  const account = sensor.account === null ? null : accountWord(sensor.account);
  return (
    <DrawerFrame label={sensor.node} test="sensor-drawer">
      <header>
        <div className="row">
          <State state={sensorState(sensor)} />
          <span className="grow" />
          <Button size="small" type="text" title={`${t('common.close')} (Esc)`} aria-label={t('common.close')} icon={<Icon name="close" size={16} />} onClick={close} />
        </div>
        <b className="mono" style={{ fontSize: 14, overflowWrap: 'anywhere' }}><Outside text={sensor.node} /></b>
      </header>
      <div className="scroll">
        <dl className="facts">
          <dt>{t('sensors.agency')}</dt><dd><Outside text={agency(sensor.organization, language)} /></dd>
          <dt>{t('sensors.lastSeen')}</dt><dd><Time at={sensor.last_seen} /></dd>
          {FIGURES.map(({ word, names }) => {
            const value = reading(sensor.health, names);
            return value === null ? null : [<dt key={word}>{t(word)}</dt>, <dd key={`${word} value`}>{number(value, 0)}</dd>];
          })}
          {SIGHT.map(({ word, name, digits }) => {
            const value = reading(sensor.health, [name]);
            return value === null ? null : [<dt key={word}>{t(word)}</dt>, <dd key={`${word} value`}>{number(value, digits)}</dd>];
          })}
          <Told health={sensor.health} />
          {account !== null && <><dt>{t('sensors.account')}</dt><dd data-test="sensor-account">{t(account.word, { n: account.n })}</dd></>}
          <Configuration of={sensor.configuration} />
          <dt>{t('sensors.enrolledAt')}</dt><dd><Time at={sensor.enrolled_at} /></dd>
          <dt>{t('sensors.certificate')}</dt><dd><Time at={sensor.not_after} /></dd>
          <dt>{t('admin.fingerprint')}</dt><dd className="mono">{sensor.fingerprint}</dd>
          {sensor.revoked_at !== null && <><dt>{t('sensors.revoked')}</dt><dd><Time at={sensor.revoked_at} /></dd></>}
          {!edits && (
            <>
              <dt>{t('admin.owner')}</dt><dd><Outside text={sensor.owner ?? t('common.none')} /></dd>
              <dt>{t('sensors.quietAfter')}</dt><dd>{span(sensor.quiet_after_seconds * 1000)}</dd>
            </>
          )}
        </dl>
        {edits && <Keeper key={`${sensor.id} ${sensor.version}`} sensor={sensor} />}
      </div>
      {(edits || revoke !== null) && (
        <footer>
          {edits && <Button size="small" onClick={() => setConfiguring(true)} data-test="configure">{t('configure.open')}</Button>}
          {revoke !== null && <Button size="small" danger onClick={revoke}>{t('sensors.revoke')}</Button>}
        </footer>
      )}
      {configuring && <Configure sensor={sensor} agency={agency(sensor.organization, language)} close={() => setConfiguring(false)} />}
    </DrawerFrame>
  );
}

/** The question for packets: which sensor, of when, which of them, why. Somebody else approves it before the sensor is told. */
import { DatePicker, Form, Input, Select } from 'antd';
import dayjs from 'dayjs';

import { ask } from '../../api/packets';
import { useSensors } from '../../api/places';
import type { Incident } from '../../api/types';
import { useWords } from '../../i18n';
import { FormDialogue, useRequired } from '../../look/FormDialogue';
import { inZone, zoned } from '../../look/zone';
import { COMMUNITY_ID, LONGEST_MS, MIB, SIZES, aroundMoment } from './packets';

interface Values {
  sensor: string;
  /** The span, named as the console names what is wrong with it. */
  until: [dayjs.Dayjs, dayjs.Dayjs];
  /** A filter or a Community ID. */
  filter: string;
  reason: string;
  size: number;
}

const EVERY_MS = 60_000;

export function AskPackets({ incident, close, asked }: { incident: Incident; close: () => void; asked: () => Promise<void> }) {
  const { t, language } = useWords();
  const required = useRequired();
  const sensors = useSensors(EVERY_MS, incident.drill ? 'include' : 'exclude');
  const fitting = (sensors.data ?? []).filter((sensor) => sensor.revoked_at === null && (incident.organization === null || sensor.organization === incident.organization));
  const [since, until] = aroundMoment(incident.detected_at, Date.now());
  const submit = async ({ sensor, until: span, filter, reason, size }: Values) => {
    const text = filter.trim();
    const isFlow = COMMUNITY_ID.test(text);
    await ask({
      incident: incident.id,
      sensor,
      reason: reason.trim(),
      since: inZone(span[0]),
      until: inZone(span[1]),
      community_id: isFlow ? text : null,
      filter: isFlow ? null : text,
      max_bytes: size * MIB,
    });
    await asked();
  };
  return (
    <FormDialogue<Values> title={t('packets.ask')} act={t('packets.send')} initial={{ until: [zoned(since), zoned(until)], size: 64 }} close={close} submit={submit}>
      <Form.Item name="sensor" label={t('packets.sensor')} rules={[required]}>
        <Select showSearch={{ optionFilterProp: 'label' }} options={fitting.map((sensor) => ({ value: sensor.id, label: sensor.node }))} notFoundContent={t('packets.noSensor')} />
      </Form.Item>
      <Form.Item
        name="until"
        label={t('packets.span')}
        rules={[required, {
          validator: (_, span: Values['until'] | undefined) =>
            span !== undefined && inZone(span[1]) - inZone(span[0]) > LONGEST_MS ? Promise.reject(new Error(t('packets.tooLong'))) : Promise.resolve(),
        }]}
      >
        <DatePicker.RangePicker showTime={{ format: 'HH:mm' }} format={language === 'vi' ? 'DD/MM/YYYY HH:mm' : 'DD MMM YYYY HH:mm'} style={{ width: '100%' }} />
      </Form.Item>
      <Form.Item name="filter" label={t('packets.which')} extra={t('packets.whichHint')} rules={[{ ...required, whitespace: true }]}>
        <Input className="mono" maxLength={1000} placeholder={t('packets.example')} spellCheck={false} />
      </Form.Item>
      <Form.Item name="size" label={t('packets.size')}>
        <Select options={SIZES.map((size) => ({ value: size, label: `${size} MiB` }))} />
      </Form.Item>
      <Form.Item name="reason" label={t('common.reason')} extra={t('packets.reasonHint')} rules={[{ ...required, whitespace: true }]}>
        <Input.TextArea autoSize={{ minRows: 2, maxRows: 5 }} maxLength={1000} />
      </Form.Item>
    </FormDialogue>
  );
}

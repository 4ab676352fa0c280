/** The time that a list covers, chosen from the usual ones or by hand. */
import { DatePicker, Select } from 'antd';
import type dayjs from 'dayjs';

import { useWords } from '../i18n';
import { brief } from '../i18n/format';
import { bounds } from './ranges';

interface Props {
  value: string;
  /** The usual ones; `range.` + name is in the catalogue. */
  usual: readonly string[];
  choose: (range: string) => void;
  width?: number;
}

export function Range({ value, usual, choose, width = 150 }: Props) {
  const { t, name, language } = useWords();
  const chosen = bounds(value);
  const options = usual.map((range) => ({ value: range, label: name('range', range) }));
  if (chosen !== null) {
    const now = Date.now();
    options.push({ value, label: t('alerts.rangeCustom', { from: brief(chosen[0], now, language), to: brief(chosen[1], now, language) }) });
  }
  return (
    <Select
      size="small"
      value={value}
      style={{ width: chosen === null ? width : width + 50 }}
      popupMatchSelectWidth={300}
      aria-label={t('alerts.range')}
      options={options}
      onChange={choose}
      popupRender={(menu) => (
        <>
          {menu}
          <DatePicker.RangePicker
            size="small"
            showTime={{ format: 'HH:mm' }}
            format={language === 'vi' ? 'DD/MM/YYYY HH:mm' : 'DD MMM YYYY HH:mm'}
            style={{ margin: 8 }}
            onChange={(ends) => {
              const [since, until] = [ends?.[0], ends?.[1]];
              if (since && until) choose(`${inZone(since)}-${inZone(until)}`);
            }}
          />
        </>
      )}
    />
  );
}

/** What was chosen is meant in Vietnam's time, whatever the zone of the computer. */
function inZone(chosen: dayjs.Dayjs): number {
  return Date.parse(`${chosen.format('YYYY-MM-DDTHH:mm:ss')}+07:00`);
}

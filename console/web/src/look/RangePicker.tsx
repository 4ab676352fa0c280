/** The calendar of a range chosen by hand. */
import { DatePicker } from 'antd';
import type dayjs from 'dayjs';

import { useWords } from '../i18n';

export default function RangePicker({ choose }: { choose: (range: string) => void }) {
  const { language } = useWords();
  return (
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
  );
}

/** What was chosen is meant in Vietnam's time, whatever the zone of the computer. */
function inZone(chosen: dayjs.Dayjs): number {
  return Date.parse(`${chosen.format('YYYY-MM-DDTHH:mm:ss')}+07:00`);
}

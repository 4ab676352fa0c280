/** The calendar of a range chosen by hand. */
import { DatePicker } from 'antd';
import { useWords } from '../i18n';
import { inZone } from './zone';

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

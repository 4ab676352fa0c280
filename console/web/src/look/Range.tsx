/** The time that a list covers, chosen from the usual ones or by hand. */
import { Select } from 'antd';
import { lazy, Suspense, useState } from 'react';

import { useWords } from '../i18n';
import { brief } from '../i18n/format';
import { bounds } from './ranges';

// The calendar is heavy and seldom opened.
const RangePicker = lazy(() => import('./RangePicker'));

interface Props {
  value: string;
  /** The usual ones; `range.` + name is in the catalogue. */
  usual: readonly string[];
  choose: (range: string) => void;
  width?: number;
}

export function Range({ value, usual, choose, width = 150 }: Props) {
  const { t, name, language } = useWords();
  const [open, setOpen] = useState(false);
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
      onOpenChange={(next) => {
        if (next) setOpen(true);
      }}
      popupRender={(menu) => (
        <>
          {menu}
          {open && <Suspense fallback={<div style={{ height: 40 }} />}><RangePicker choose={choose} /></Suspense>}
        </>
      )}
    />
  );
}

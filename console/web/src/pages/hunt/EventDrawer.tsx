/** One event whole: its record as received and every field, each value of which can be narrowed to, left out or copied. */
import { App, Button, Input } from 'antd';
import { useState } from 'react';

import type { Fields } from '../../api/types';
import { useWords } from '../../i18n';
import { DrawerFrame } from '../../look/DrawerFrame';
import { Icon } from '../../look/icons';
import { Lines, Outside, Time } from '../../look/Text';
import { eventTime, parts, rows, summary, text } from '../alert/record';
import { fold } from '../rules/search';
import { around, type Filter, type Hunt } from './query';
import { ValueActions } from './ValueActions';

interface Props {
  event: Fields;
  columns: readonly string[];
  close: () => void;
  add: (filter: Filter) => void;
  toggle: (column: string) => void;
  /** Shows what else happened there around that time. */
  look: (hunt: Partial<Hunt>) => void;
}

const MARGIN_MS = 5 * 60_000;

/** The node at which the event was seen, as conditions. */
function place(event: Fields): Filter[] {
  return ['organization.id', 'observer.name']
    .map((field): Filter => ({ field, operator: 'is', value: text(event[field]) }))
    .filter((filter) => filter.value !== '');
}

export function EventDrawer({ event, columns, close, add, toggle, look }: Props) {
  const { t } = useWords();
  const { message } = App.useApp();
  const [wanted, setWanted] = useState('');
  const original = text(event['event.original']);
  const words = fold(wanted.trim());
  const all = rows(event, []).filter((row) => words === '' || fold(row.name).includes(words) || fold(row.value).includes(words));
  const at = eventTime(event);
  const copy = async () => {
    await navigator.clipboard.writeText(JSON.stringify(event, null, 2));
    void message.success(t('common.copied'));
  };
  return (
    <DrawerFrame label={t('hunt.event')} test="event-drawer">
      <header>
        <div className="row">
          <span className="tag mono"><Outside text={text(event['event.dataset'])} /></span>
          <span className="soft"><Time at={at} /></span>
          <span className="grow" />
          <Button size="small" type="text" title={`${t('common.close')} (Esc)`} aria-label={t('common.close')} icon={<Icon name="close" size={16} />} onClick={close} />
        </div>
        <span className="mono" style={{ overflowWrap: 'anywhere', maxHeight: 54, overflow: 'hidden' }}><Outside text={summary(event)} /></span>
      </header>
      <div className="scroll">
        <Input size="small" allowClear value={wanted} onChange={(change) => setWanted(change.target.value)} placeholder={t('hunt.findInEvent')} aria-label={t('hunt.findInEvent')} />
        <table className="record">
          <tbody>
            {all.map((row) => (
              <tr key={row.name} className="hot">
                <td>
                  <button type="button" className={`plain ${columns.includes(row.name) ? 'shown' : ''}`} title={columns.includes(row.name) ? t('hunt.removeColumn') : t('hunt.addColumn')} aria-pressed={columns.includes(row.name)} onClick={() => toggle(row.name)}><Outside text={row.name} /></button>
                </td>
                <td>
                  {parts(event[row.name]).map((value, index) => (
                    <div key={index} className="value-line"><span className="grow"><Outside text={value} /></span><ValueActions field={row.name} value={value} add={add} /></div>
                  ))}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {original !== '' && <div className="section"><h2>{t('alert.raw')}</h2><pre className="raw"><Lines text={original} /></pre></div>}
      </div>
      <footer>
        <Button size="small" onClick={() => look({ q: '', range: around(at, at + 1, MARGIN_MS), filters: place(event) })}>{t('hunt.aroundTime')}</Button>
        <Button size="small" type="text" onClick={() => void copy()}>{t('hunt.copyJson')}</Button>
      </footer>
    </DrawerFrame>
  );
}

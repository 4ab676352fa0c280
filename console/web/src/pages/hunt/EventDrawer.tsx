/** One event whole: its record as received and every field, each value of which can be narrowed to, left out or copied. */
import { App, Button, Input } from 'antd';
import { useState } from 'react';

import { useEvent } from '../../api/events';
import type { Fields } from '../../api/types';
import { useWords } from '../../i18n';
import { DrawerFrame } from '../../look/DrawerFrame';
import { Icon } from '../../look/icons';
import { Failed } from '../../look/States';
import { Lines, Outside, Time } from '../../look/Text';
import { eventTime, parts, rows, shortened, summary, text } from '../alert/record';
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

export function EventDrawer({ event: listed, columns, close, add, toggle, look }: Props) {
  const { t } = useWords();
  const { message } = App.useApp();
  const [wanted, setWanted] = useState('');
  // A list shortens long values; here the event stands whole, as soon as it has come.
  const cut = shortened(listed).length > 0;
  const whole = useEvent(text(listed['event.id']), cut);
  const event = whole.data ?? listed;
  const short = shortened(event);
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
        {short.length > 0 && (whole.error === null
          ? <span className="soft" role="status">{t('hunt.loadingWhole')}</span>
          : <Failed error={whole.error} what={t('hunt.wholeEvent')} retry={() => void whole.refetch()} />)}
        <table className="record">
          <tbody>
            {all.map((row) => (
              <tr key={row.name} className="hot">
                <td>
                  <button type="button" className={`plain ${columns.includes(row.name) ? 'shown' : ''}`} title={columns.includes(row.name) ? t('hunt.removeColumn') : t('hunt.addColumn')} aria-pressed={columns.includes(row.name)} onClick={() => toggle(row.name)}><Outside text={row.name} /></button>
                </td>
                <td>
                  {parts(event[row.name]).map((value, index) => (
                    <div key={index} className="value-line"><span className="grow"><Outside text={value} />{short.includes(row.name) && <> <span className="tag">{t('hunt.shortened')}</span></>}</span><ValueActions field={row.name} value={value} add={add} /></div>
                  ))}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {original !== '' && <div className="section"><h2>{t('alert.raw')}{short.includes('event.original') && <> <span className="tag">{t('hunt.shortened')}</span></>}</h2><pre className="raw" tabIndex={0}><Lines text={original} /></pre></div>}
      </div>
      <footer>
        <Button size="small" onClick={() => look({ q: '', range: around(at, at + 1, MARGIN_MS), filters: place(event) })}>{t('hunt.aroundTime')}</Button>
        <Button size="small" type="text" onClick={() => void copy()}>{t('hunt.copyJson')}</Button>
      </footer>
    </DrawerFrame>
  );
}

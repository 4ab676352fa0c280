/** The events that were found, newest first, 28 px each; only those in sight exist. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef } from 'react';

import { useOrganizationName } from '../../api/places';
import type { Fields } from '../../api/types';
import { useWords } from '../../i18n';
import { DrillMark } from '../../look/DrillSwitch';
import { Icon } from '../../look/icons';
import { Cut, Time } from '../../look/Text';
import { eventTime, shortened, summary, text } from '../alert/record';

const ROW_PX = 28;
/** The field that the events of a drill have. */
const DRILL = 'dongson.drill';

interface Props {
  events: readonly Fields[];
  columns: readonly string[];
  /** Both are shown: what belongs to a drill is marked. */
  drill: boolean;
  index: number;
  loading: boolean;
  end: () => void;
  choose: (index: number) => void;
  remove: (column: string) => void;
}

/** What a column shows of an event: agencies by their names, lists by commas. */
function Value({ event, column }: { event: Fields; column: string }) {
  const { language } = useWords();
  const agency = useOrganizationName();
  const value = text(event[column]);
  if (value === '') return <span className="faint">–</span>;
  return column === 'organization.id' ? <Cut text={agency(value, language)} /> : <Cut text={shortened(event).includes(column) ? `${value}…` : value} mono />;
}

export function EventRows({ events, columns, drill, index, loading, end, choose, remove }: Props) {
  const { t, name } = useWords();
  const scroll = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: events.length, getScrollElement: () => scroll.current, estimateSize: () => ROW_PX, overscan: 16 });
  const items = rows.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  const template = `104px ${columns.map((column) => (column === 'event.dataset' ? '124px' : 'minmax(90px, 1fr)')).join(' ')} minmax(200px, 4fr)`;

  useEffect(() => {
    if (index >= 0) rows.scrollToIndex(index, { align: 'auto' });
    // Only the reader's own move scrolls; new data does not.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [index]);
  useEffect(() => {
    if (last >= events.length - 1) end();
  }, [last, events.length, end]);

  return (
    <div className="event-table" ref={scroll} data-test="events">
      <div role="table" aria-rowcount={events.length} aria-label={t('hunt.results')} className="event-inner" style={{ minWidth: 104 + 124 + columns.length * 100 + 220 }}>
        <div className="event-row head" role="row" style={{ gridTemplateColumns: template }}>
          <span role="columnheader">{t('alerts.colTime')}</span>
          {columns.map((column) => (
            <span key={column} role="columnheader" className="row hot" style={{ gap: 4 }}>
              <span className="cut" title={column}>{name('column', column)}</span>
              <button type="button" className="act" aria-label={`${t('hunt.removeColumn')}: ${column}`} title={t('hunt.removeColumn')} onClick={() => remove(column)}><Icon name="close" size={10} /></button>
            </span>
          ))}
          <span role="columnheader">{t('alert.colSummary')}</span>
        </div>
        <div style={{ height: rows.getTotalSize(), position: 'relative' }} role="rowgroup">
          {items.map((item) => {
            const event = events[item.index];
            if (event === undefined) return null;
            return (
              <div
                key={text(event['event.id'])}
                role="row"
                aria-rowindex={item.index + 1}
                className={`event-row ${item.index === index ? 'current' : ''}`}
                style={{ gridTemplateColumns: template, transform: `translateY(${item.start}px)` }}
                data-test="event"
                onClick={() => choose(item.index)}
              >
                <span role="cell"><Time at={eventTime(event)} brief /></span>
                {columns.map((column) => <span role="cell" key={column}><Value event={event} column={column} /></span>)}
                <span role="cell" className="row">{drill && event[DRILL] !== undefined && <DrillMark />}<span className="grow"><Cut text={summary(event)} mono /></span></span>
              </div>
            );
          })}
        </div>
        {loading && <div className="faint" style={{ padding: '4px 16px' }}>{t('common.loading')}</div>}
      </div>
    </div>
  );
}

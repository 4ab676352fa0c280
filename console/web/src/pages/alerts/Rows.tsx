/** The rows of the queue, 32 px each; only those in sight exist. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { Checkbox } from 'antd';
import { useEffect, useRef } from 'react';

import { usePersonName } from '../../api/people';
import { useOrganizationName } from '../../api/places';
import type { Alert } from '../../api/types';
import { useWords } from '../../i18n';
import { Severity } from '../../look/Severity';
import { Cut, Time } from '../../look/Text';
import { entityText } from '../alert/record';
import { techniques } from './classify';

const ROW_PX = 32;

interface Props {
  alerts: readonly Alert[];
  index: number;
  picked: ReadonlySet<string>;
  loading: boolean;
  /** The end of what is loaded came into sight. */
  end: () => void;
  choose: (alert: Alert) => void;
  pick: (alert: Alert) => void;
  pickAll: (all: boolean) => void;
  /** Whether anything can be done with what is selected; without it there is nothing to select. */
  picks: boolean;
  /** All are of a drill, which needs no mark on each. */
  drill: boolean;
}

export function Rows(props: Props) {
  const { alerts, index, picked, end } = props;
  const { t } = useWords();
  const scroll = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: alerts.length, getScrollElement: () => scroll.current, estimateSize: () => ROW_PX, overscan: 12 });
  const items = rows.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;

  useEffect(() => {
    rows.scrollToIndex(index, { align: 'auto' });
    // Only the reader's own move scrolls; new data does not.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [index]);
  useEffect(() => {
    if (last >= alerts.length - 1) end();
  }, [last, alerts.length, end]);

  const all = picked.size > 0 && picked.size === alerts.length;
  return (
    <div role="grid" aria-rowcount={alerts.length} aria-label={t('alerts.title')} style={{ display: 'contents' }}>
      <div className="columns" role="row">
        <span role="columnheader">{props.picks && <Checkbox aria-label={t('alerts.selectAll')} checked={all} indeterminate={picked.size > 0 && !all} onChange={(event) => props.pickAll(event.target.checked)} />}</span>
        <span role="columnheader" className="c-level">{t('alerts.colLevel')}</span>
        <span role="columnheader">{t('alerts.colTime')}</span>
        <span role="columnheader">{t('alerts.colTitle')}</span>
        <span role="columnheader">{t('alerts.colEntity')}</span>
        <span role="columnheader" className="c-agency">{t('alerts.colAgency')}</span>
        <span role="columnheader" className="number">{t('alerts.colCount')}</span>
        <span role="columnheader" className="number">{t('alerts.colRisk')}</span>
        <span role="columnheader" className="c-attack">{t('alerts.colAttack')}</span>
        <span role="columnheader" className="c-owner">{t('alerts.colOwner')}</span>
        <span role="columnheader">{t('alerts.colState')}</span>
      </div>
      <div className="rows" ref={scroll} data-test="rows">
        <div style={{ height: rows.getTotalSize(), position: 'relative' }}>
          {items.map((item) => {
            const alert = alerts[item.index];
            if (alert === undefined) return null;
            return (
              <Row
                key={alert.id}
                alert={alert}
                top={item.start}
                row={item.index + 1}
                current={item.index === index}
                picked={picked.has(alert.id)}
                choose={props.choose}
                pick={props.picks ? props.pick : null}
                drill={props.drill}
              />
            );
          })}
        </div>
      </div>
      {props.loading && <div className="faint" style={{ padding: '4px 16px' }}>{t('common.loading')}</div>}
    </div>
  );
}

function Row(props: { alert: Alert; top: number; row: number; current: boolean; picked: boolean; choose: (alert: Alert) => void; pick: ((alert: Alert) => void) | null; drill: boolean }) {
  const { alert, current, picked } = props;
  const { t, pick, number, language } = useWords();
  const agency = useOrganizationName();
  const person = usePersonName();
  const classes = ['alert', current && 'current', picked && 'picked', alert.state === 'new' && 'fresh', alert.state === 'closed' && 'done'];
  return (
    <div
      className={classes.filter(Boolean).join(' ')}
      style={{ transform: `translateY(${props.top}px)` }}
      role="row"
      aria-rowindex={props.row}
      aria-selected={picked}
      data-test="row"
      data-id={alert.id}
      data-state={alert.state}
      onClick={() => props.choose(alert)}
    >
      <span onClick={(event) => event.stopPropagation()} role="gridcell">
        {props.pick !== null && <Checkbox tabIndex={-1} aria-label={t('alerts.select')} checked={picked} onChange={() => props.pick?.(alert)} />}
      </span>
      <span role="gridcell" className="c-level"><Severity level={alert.level} /></span>
      <span role="gridcell"><Time at={alert.last_seen} brief /></span>
      <span role="gridcell" className="row" style={{ gap: 6 }}>
        {alert.drill && !props.drill && <span className="tag drill" title={t('common.drill')} aria-label={t('common.drill')} role="img"><span className="long">{t('common.drill')}</span><span className="short">{t('common.drillShort')}</span></span>}
        <Cut text={pick(alert.title_vi, alert.title_en)} className="title" />
      </span>
      <span role="gridcell"><Cut text={entityText(alert)} mono /></span>
      <span role="gridcell" className="c-agency"><Cut text={agency(alert.organization, language)} /></span>
      <span role="gridcell" className="number">{number(alert.count)}</span>
      <span role="gridcell" className="number">{number(alert.risk)}</span>
      <span role="gridcell" className="c-attack mono faint" title={techniques(alert.tags).join(' ')}>{techniques(alert.tags)[0] ?? ''}</span>
      <span role="gridcell" className="c-owner">{alert.owner === null ? <span className="faint">–</span> : <Cut text={person(alert.owner)} />}</span>
      <span role="gridcell">{t(`state.${alert.state}`)}</span>
    </div>
  );
}

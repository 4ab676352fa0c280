/** The hunt: a question over all events, when they happened, which fields they have, the events themselves. */
import { App, Button, Dropdown } from 'antd';
import { lazy, Suspense, useCallback, useEffect, useMemo, useState } from 'react';
import { useSearchParams } from 'react-router';

import { nextDrill } from '../../api/alerts';
import { useEvents, useHistogram, type HuntQuestion } from '../../api/events';
import { ApiError } from '../../api/http';
import { useWords } from '../../i18n';
import { moment } from '../../i18n/format';
import { DrillSwitch } from '../../look/DrillSwitch';
import { Range } from '../../look/Range';
import { Empty, Failed, Skeleton, useFailure } from '../../look/States';
import { useKeys, type Keys } from '../../shell/keyboard';
import { useScope } from '../../shell/scope';
import { Chips } from './Chips';
import { EventDrawer } from './EventDrawer';
import { EventRows } from './EventRows';
import { csv, download, jsonLines } from './export';
import { shortened } from '../alert/record';
import { Fields } from './Fields';
import { total } from './histogram';
import { COLUMNS, decode, encode, ends, HUNT_RANGES, toggleColumn, withFilter, type Filter, type Hunt } from './query';
import { QueryBar } from './QueryBar';

const Histogram = lazy(() => import('./Histogram'));

/** The hunt of the address bar, with the agency of the top bar: an address that is passed on carries both. */
function useHunt(): { hunt: Hunt; setHunt: (hunt: Hunt) => void; organization: string } {
  const [parameters, setParameters] = useSearchParams();
  const { organization, choose } = useScope();
  const search = parameters.toString();
  const told = parameters.get('organization');
  const [first, setFirst] = useState(true);
  useEffect(() => {
    // At the start the address speaks, afterwards the top bar.
    if (first) {
      setFirst(false);
      if (told !== null && told !== organization) choose(told);
      return;
    }
    if ((told ?? '') === organization) return;
    setParameters((before) => {
      const after = new URLSearchParams(before);
      if (organization === '') after.delete('organization');
      else after.set('organization', organization);
      return after;
    }, { replace: true });
  }, [first, told, organization, choose, setParameters]);
  const hunt = useMemo(() => decode(search), [search]);
  const setHunt = useCallback((next: Hunt) => {
    const after = new URLSearchParams(encode(next));
    if (organization !== '') after.set('organization', organization);
    setParameters(after);
  }, [organization, setParameters]);
  return { hunt, setHunt, organization: first && told !== null ? told : organization };
}

/** In the chart's place: that it could not be drawn, why, and the way to try again. */
function NoChart({ error, busy, retry }: { error: unknown; busy: boolean; retry: () => void }) {
  const { t } = useWords();
  const words = useFailure();
  const id = error instanceof ApiError ? error.requestId : '';
  return (
    <div className="no-chart" role="alert" data-test="no-histogram">
      <b>{t('hunt.noHistogram')}</b>
      <span className="row wrap" style={{ gap: 12 }}>
        <span className="soft">{words(error)}</span>
        {id !== '' && <span className="faint mono">{t('error.requestId', { id })}</span>}
        <Button size="small" onClick={retry} loading={busy}>{t('common.retry')}</Button>
      </span>
    </div>
  );
}

export default function HuntPage() {
  const { t, language } = useWords();
  const { message } = App.useApp();
  const { hunt, setHunt, organization } = useHunt();
  const [asked, setAsked] = useState(() => Date.now());
  const { q, filters, range, drill } = hunt;
  const question = useMemo<HuntQuestion>(() => {
    const [since, until] = ends(range, asked);
    return { since, until, organization, q, filters, drill };
  }, [q, filters, range, drill, asked, organization]);

  const list = useEvents(question);
  const histogram = useHistogram(question);
  const events = useMemo(() => list.data?.pages.flatMap((page) => page.events) ?? [], [list.data]);
  const [index, setIndex] = useState(-1);
  const [open, setOpen] = useState(false);
  useEffect(() => {
    setIndex(-1);
    setOpen(false);
  }, [question]);
  const current = events[index];
  // The answer to the question before stays in sight, dimmed, until the new one comes.
  const waiting = list.isPlaceholderData || list.data === undefined;

  const again = useCallback(() => setAsked(Date.now()), []);
  const change = useCallback((next: Hunt) => {
    // A new question counts its hours back from now.
    setAsked(Date.now());
    setHunt(next);
  }, [setHunt]);
  const add = (filter: Filter) => change(withFilter(hunt, filter));
  const toggle = (column: string) => setHunt(toggleColumn(hunt, column));
  const end = useCallback(() => {
    if (list.hasNextPage && !list.isFetchingNextPage && !list.isFetchNextPageError) void list.fetchNextPage();
  }, [list]);
  const move = (step: number) => {
    if (events.length > 0) setIndex((before) => Math.min(Math.max(before + step, 0), events.length - 1));
  };

  const keys: Keys = {
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    r: again,
    d: () => {
      // The address is ahead of the page: a key that is pressed twice goes two places on.
      const now = decode(window.location.search);
      change({ ...now, drill: nextDrill(now.drill) });
    },
    Enter: () => {
      if (index >= 0) setOpen(true);
    },
    Escape: () => setOpen(false),
  };
  useKeys(keys);

  const save = (kind: 'csv' | 'json') => {
    const cut = events.filter((event) => shortened(event).length > 0).length;
    if (cut > 0) void message.warning(t('hunt.exportShortened', { n: cut }), 8);
    const name = `dongson-${new Date(asked).toISOString().slice(0, 19).replaceAll(':', '')}`;
    if (kind === 'json') download(`${name}.jsonl`, 'application/x-ndjson', jsonLines(events));
    else download(`${name}.csv`, 'text/csv;charset=utf-8', csv(events, ['@timestamp', ...hunt.columns, ...['event.id', 'event.original'].filter((column) => !hunt.columns.includes(column))]));
  };

  return (
    <div className="page fixed">
      <div className="queue">
        <div className="left hunt">
          <div className="hunt-bar">
            <h1>{t('nav.hunt')}</h1>
            <QueryBar hunt={hunt} setHunt={change} again={again} />
            <DrillSwitch drill={drill} choose={(mode) => change({ ...hunt, drill: mode })} />
            <Range value={range} usual={HUNT_RANGES} choose={(next) => change({ ...hunt, range: next })} width={120} />
            <Button size="small" type="primary" onClick={again} loading={list.isFetching && !list.isFetchingNextPage} data-test="hunt-again" title={`${t('hunt.search')} (r)`}>{t('hunt.search')}</Button>
          </div>
          <div className="filters">
            <Chips hunt={hunt} setHunt={change} />
            <span className="grow" />
            <span className="soft" data-test="hunt-total" role="status" aria-busy={waiting || histogram.isPending || histogram.isPlaceholderData}>
              {histogram.data !== undefined && t('hunt.events', { n: total(histogram.data) })}
              {events.length > 0 && <span className="faint"> · {t('hunt.loaded', { n: events.length })}</span>}
            </span>
            {hunt.columns.join(',') !== COLUMNS.join(',') && <button type="button" className="chip bare" onClick={() => setHunt({ ...hunt, columns: COLUMNS })}>{t('hunt.resetColumns')}</button>}
            <Dropdown
              trigger={['click']}
              disabled={events.length === 0}
              menu={{ items: [
                { key: 'csv', label: t('hunt.exportCsv', { n: events.length }), onClick: () => save('csv') },
                { key: 'json', label: t('hunt.exportJson', { n: events.length }), onClick: () => save('json') },
              ] }}
            >
              <button type="button" className="chip" disabled={events.length === 0} data-test="export">{t('hunt.export')} <span className="count">▾</span></button>
            </Dropdown>
          </div>
          <div className="hunt-chart" aria-busy={histogram.isFetching}>
            {histogram.data !== undefined ? (
              <Suspense fallback={null}>
                <Histogram found={histogram.data} choose={(since, until) => change({ ...hunt, range: `${since}-${until}` })} />
              </Suspense>
            ) : histogram.error === null ? <Skeleton lines={3} /> : <NoChart error={histogram.error} busy={histogram.isFetching} retry={() => void histogram.refetch()} />}
          </div>
          <div className={`hunt-body ${waiting ? 'waiting' : ''}`}>
            <Fields events={events} waiting={list.data === undefined && list.error === null} question={question} columns={hunt.columns} toggle={toggle} add={add} />
            {list.error !== null && events.length === 0 ? (
              <div className="grow"><Failed error={list.error} what={t('hunt.failed')} retry={() => void list.refetch()} /></div>
            ) : list.data === undefined ? (
              <div className="grow"><Skeleton lines={14} /></div>
            ) : events.length === 0 ? (
              <div className="grow">
                <Empty text={t('hunt.empty', { from: moment(question.since, language), to: moment(question.until, language) })}>
                  {drill === 'exclude' && <Button onClick={() => change({ ...hunt, drill: 'include' })} data-test="show-drill">{t('hunt.showDrill')}</Button>}
                  {range !== '30d' && <Button onClick={() => change({ ...hunt, range: '30d' })}>{t('hunt.widen')}</Button>}
                </Empty>
              </div>
            ) : (
              <EventRows
                events={events}
                columns={hunt.columns}
                drill={drill === 'include'}
                index={index}
                loading={list.isFetchingNextPage}
                end={end}
                choose={(next) => {
                  setIndex(next);
                  setOpen(true);
                }}
                remove={toggle}
              />
            )}
          </div>
        </div>
        {open && current !== undefined && (
          <EventDrawer event={current} columns={hunt.columns} close={() => setOpen(false)} add={add} toggle={toggle} look={(next) => change({ ...hunt, ...next })} />
        )}
      </div>
    </div>
  );
}

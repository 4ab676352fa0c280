/** The queue: tabs, filters, the list under the hand, details at the right. The list changes only when it is asked to. */
import { useQueryClient } from '@tanstack/react-query';
import { Button } from 'antd';
import { useCallback, useDeferredValue, useMemo, useState } from 'react';
import { useNavigate, useSearchParams } from 'react-router';

import { nextDrill, useAlerts, useFacets } from '../../api/alerts';
import { useLive } from '../../api/live';
import { useSession } from '../../api/session';
import type { Alert } from '../../api/types';
import { useWords } from '../../i18n';
import { Empty, Failed, Skeleton } from '../../look/States';
import { KeyMark } from '../../look/Text';
import { useKeys, type Keys } from '../../shell/keyboard';
import { useScope } from '../../shell/scope';
import { BulkBar } from './BulkBar';
import { Drawer } from './Drawer';
import { Filters } from './Filters';
import { Rows } from './Rows';
import { useTriage } from './triage';
import { news } from './news';
import { ANY, decode, encode, toFilter, type View } from './view';
import { Views } from './Views';

/** Where the place in the list is kept while another page is open. */
const CURRENT = ['alert-under-the-hand'];

export function AlertsPage() {
  const { t } = useWords();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const { me, mayWrite } = useSession();
  const { organization } = useScope();
  const { fresh, seen } = useLive();
  const triage = useTriage();
  const [parameters, setParameters] = useSearchParams();
  const search = parameters.toString();
  const view = useMemo(() => decode(search), [search]);
  const [asked, setAsked] = useState(() => Date.now());
  const filter = useMemo(() => toFilter(view, asked, organization), [view, asked, organization]);
  const settled = useDeferredValue(filter);

  const list = useAlerts(settled);
  const facets = useFacets(settled);
  const alerts = useMemo(() => list.data?.pages.flatMap((page) => page.alerts) ?? [], [list.data]);
  const [currentId, setId] = useState(() => queries.getQueryData<string>(CURRENT) ?? null);
  const setCurrentId = useCallback((id: string | null) => {
    queries.setQueryData(CURRENT, id);
    setId(id);
  }, [queries]);
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const [open, setOpen] = useState(false);

  const found = alerts.findIndex((alert) => alert.id === currentId);
  const index = found === -1 ? 0 : found;
  const current = alerts[index];
  const chosen = alerts.filter((alert) => picked.has(alert.id));
  const targets: readonly Alert[] = chosen.length > 0 ? chosen : current === undefined ? [] : [current];

  const waiting = useMemo(() => news(fresh, alerts, filter), [fresh, alerts, filter]);

  const setView = useCallback((next: View) => {
    setParameters(encode(next), { replace: true });
    setPicked(new Set());
  }, [setParameters]);

  const refresh = useCallback(() => {
    seen();
    setPicked(new Set());
    setCurrentId(null);
    // Forget the pages read so far: a refresh starts again at the top.
    queries.removeQueries({ queryKey: ['alerts', 'list'], type: 'inactive' });
    setAsked(Date.now());
    void queries.resetQueries({ queryKey: ['alerts', 'list'] });
    void queries.invalidateQueries({ queryKey: ['alerts', 'facets'] });
  }, [queries, seen, setCurrentId]);

  const move = (step: number) => {
    const next = alerts[Math.min(Math.max(index + step, 0), alerts.length - 1)];
    if (next !== undefined) setCurrentId(next.id);
    if (index + step > alerts.length - 50 && list.hasNextPage && !list.isFetchingNextPage) void list.fetchNextPage();
  };
  const pick = (id: string) => {
    setPicked((before) => {
      const after = new Set(before);
      if (!after.delete(id)) after.add(id);
      return after;
    });
  };
  const unpick = () => setPicked(new Set());

  const keys: Keys = {
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    x: () => {
      if (mayWrite && current !== undefined) {
        setCurrentId(current.id);
        pick(current.id);
      }
    },
    a: () => void triage.assignToMe(targets).then(unpick),
    t: () => void triage.acknowledge(targets).then(unpick),
    e: () => triage.ask('close', targets, () => {
      // One after the other: the hand is on the next row when the dialogue is gone.
      if (chosen.length === 0) move(1);
      unpick();
    }),
    i: () => triage.ask('raise', targets, unpick),
    u: () => void triage.undo(),
    n: refresh,
    d: () => {
      // The address is ahead of the page: a key that is pressed twice goes two places on.
      const now = decode(window.location.search);
      setView({ ...now, drill: nextDrill(now.drill) });
    },
    o: () => {
      if (current !== undefined) void navigate(`/alerts/${encodeURIComponent(current.id)}`);
    },
    Enter: () => {
      if (current !== undefined) {
        setCurrentId(current.id);
        setOpen(true);
      }
    },
    Escape: () => {
      if (open) setOpen(false);
      else unpick();
    },
  };
  useKeys(keys);

  const filtered = encode({ ...view, drill: ANY.drill }) !== encode(ANY);
  const counted = list.data?.pages[0];
  const hidden = view.drill === 'exclude' ? (counted?.drills ?? 0) : 0;
  return (
    <div className="page fixed">
      <div className="queue">
        <div className="left">
          <Views view={view} setView={setView} me={me?.id ?? ''} total={counted?.total ?? null} drills={hidden} />
          <Filters view={view} setView={setView} counts={facets.data} />
          <div style={{ position: 'relative', display: 'flex', flexDirection: 'column', flex: '1 1 0', minHeight: 0 }}>
            {list.error !== null && alerts.length === 0 ? (
              <Failed error={list.error} retry={() => void list.refetch()} />
            ) : list.data === undefined ? (
              <Skeleton lines={14} />
            ) : alerts.length === 0 ? (
              <Empty text={hidden > 0 ? t('alerts.emptyReal', { n: hidden }) : filtered ? t('alerts.emptyFiltered') : t('alerts.empty')}>
                {hidden > 0 && <Button type="primary" data-test="show-drill" onClick={() => setView({ ...view, drill: 'only' })}>{t('alerts.showDrill')} <KeyMark keys="d" /></Button>}
                {filtered && hidden === 0 && <Button onClick={() => setView({ ...ANY, drill: view.drill })}>{t('alerts.clearFilters')}</Button>}
              </Empty>
            ) : (
              <Rows
                alerts={alerts}
                index={index}
                picked={picked}
                loading={list.isFetchingNextPage}
                end={() => {
                  if (list.hasNextPage && !list.isFetchingNextPage) void list.fetchNextPage();
                }}
                choose={(alert) => {
                  setCurrentId(alert.id);
                  setOpen(true);
                }}
                pick={(alert) => {
                  setCurrentId(alert.id);
                  pick(alert.id);
                }}
                picks={mayWrite}
                drill={settled.drill === 'only'}
                pickAll={(all) => setPicked(all ? new Set(alerts.map((alert) => alert.id)) : new Set())}
              />
            )}
            {waiting > 0 && (
              <Button className="fresh-bar" type="primary" size="small" onClick={refresh} data-test="fresh">{t('alerts.new', { n: waiting })} · n</Button>
            )}
            {mayWrite && chosen.length > 0 && <BulkBar alerts={chosen} clear={unpick} />}
          </div>
        </div>
        {open && current !== undefined && <Drawer alert={current} close={() => setOpen(false)} />}
      </div>
    </div>
  );
}

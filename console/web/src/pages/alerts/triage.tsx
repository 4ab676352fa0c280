/** What is done to alerts, from the queue and from the page of one: one place for messages, dialogues and undo. */
import { useQueryClient, type InfiniteData } from '@tanstack/react-query';
import { App } from 'antd';
import { createContext, lazy, Suspense, useCallback, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';

import * as api from '../../api/alerts';
import { ApiError } from '../../api/http';
import { useSession } from '../../api/session';
import type { Alert, AlertList } from '../../api/types';
import { useWords, type Key } from '../../i18n';
import { useFailure } from '../../look/States';

const close = () => import('./CloseDialogue');
const except = () => import('./ExceptDialogue');
const raise = () => import('./RaiseDialogue');
const CloseDialogue = lazy(() => close().then((found) => ({ default: found.CloseDialogue })));
const ExceptDialogue = lazy(() => except().then((found) => ({ default: found.ExceptDialogue })));
const RaiseDialogue = lazy(() => raise().then((found) => ({ default: found.RaiseDialogue })));

type Dialogue = { kind: 'close' | 'raise' | 'except'; alerts: readonly Alert[]; done: () => void };

export interface Triage {
  assignToMe: (alerts: readonly Alert[]) => Promise<void>;
  acknowledge: (alerts: readonly Alert[]) => Promise<void>;
  reopen: (alerts: readonly Alert[]) => Promise<void>;
  undo: () => Promise<void>;
  /** Opens the dialogue that asks for what the act needs; `done` runs after it succeeded. */
  ask: (kind: Dialogue['kind'], alerts: readonly Alert[], done?: () => void) => void;
}

const Context = createContext<Triage | null>(null);

type Lists = InfiniteData<AlertList, string | null>;

/** The lists with the changed alerts in their old places: nothing moves under the hand. */
export function replaced(lists: Lists | undefined, changed: readonly Alert[]): Lists | undefined {
  if (lists === undefined) return undefined;
  const byId = new Map(changed.map((alert) => [alert.id, alert]));
  return { ...lists, pages: lists.pages.map((page) => ({ ...page, alerts: page.alerts.map((alert) => byId.get(alert.id) ?? alert) })) };
}

export function TriageProvider({ children }: { children: ReactNode }) {
  const { t } = useWords();
  const { message } = App.useApp();
  const { me, mayWrite } = useSession();
  const queries = useQueryClient();
  const words = useFailure();
  const past = useRef<string[]>([]);
  const [dialogue, setDialogue] = useState<Dialogue | null>(null);
  useEffect(() => {
    // There before a key asks for them: what is typed after `e` belongs to the dialogue.
    const timer = setTimeout(() => void Promise.allSettled([close(), except(), raise()]), 500);
    return () => clearTimeout(timer);
  }, []);

  const accept = useCallback((changed: readonly Alert[]) => {
    queries.setQueriesData<Lists>({ queryKey: ['alerts', 'list'] }, (lists) => replaced(lists, changed));
    for (const alert of changed) queries.setQueryData(['alert', alert.id], alert);
    for (const queryKey of [['alerts', 'facets'], ['overview'], ['incident']]) void queries.invalidateQueries({ queryKey });
  }, [queries]);

  const fail = useCallback((error: unknown) => {
    const conflict = error instanceof ApiError && error.code === 'stale';
    void message.error(conflict ? t('error.conflict') : words(error), 6);
    if (conflict) void queries.invalidateQueries({ queryKey: ['alerts'] });
  }, [message, queries, t, words]);

  const run = useCallback(async (alerts: readonly Alert[], action: api.Action, done: Key) => {
    try {
      const { changed, conflicts, missing, undo } = await api.act(alerts, action);
      accept([...changed, ...conflicts]);
      const skipped = conflicts.length + missing.length;
      if (undo !== null) past.current = [...past.current.slice(-19), undo];
      if (changed.length > 0) void message.success(`${t(done, { n: changed.length })} · u: ${t('common.undo').toLowerCase()}`);
      if (skipped > 0) void message.warning(t('alerts.skipped', { n: skipped }));
      return changed.length > 0;
    } catch (error) {
      fail(error);
      return false;
    }
  }, [accept, fail, message, t]);

  const value = useMemo<Triage>(() => {
    const may = (alerts: readonly Alert[]) => mayWrite && alerts.length > 0;
    return {
      assignToMe: async (alerts) => {
        if (may(alerts) && me) await run(alerts, { action: 'assign', owner: me.id }, 'alerts.assigned');
      },
      acknowledge: async (alerts) => {
        if (may(alerts)) await run(alerts, { action: 'acknowledge' }, 'alerts.acknowledged');
      },
      reopen: async (alerts) => {
        if (may(alerts)) await run(alerts, { action: 'reopen' }, 'alerts.reopened');
      },
      undo: async () => {
        const token = past.current.pop();
        if (token === undefined) {
          void message.info(t('alerts.nothingToUndo'));
          return;
        }
        try {
          accept((await api.undo(token)).changed);
          void message.success(t('common.undone'));
        } catch (error) {
          fail(error);
        }
      },
      ask: (kind, alerts, done = () => undefined) => {
        if (may(alerts)) setDialogue({ kind, alerts, done });
      },
    };
  }, [accept, fail, mayWrite, me, message, run, t]);

  const shut = () => setDialogue(null);
  const finish = () => {
    dialogue?.done();
    shut();
  };
  const first = dialogue?.alerts[0];
  return (
    <Context.Provider value={value}>
      {children}
      <Suspense fallback={null}>
        {dialogue?.kind === 'close' && (
          <CloseDialogue
            count={dialogue.alerts.length}
            cancel={shut}
            submit={async (verdict, reason) => {
              if (await run(dialogue.alerts, { action: 'close', verdict, reason }, 'alerts.closed')) finish();
            }}
          />
        )}
        {dialogue?.kind === 'raise' && (
          <RaiseDialogue
            alerts={dialogue.alerts}
            cancel={shut}
            done={() => {
              void queries.invalidateQueries({ queryKey: ['alerts'] });
              void queries.invalidateQueries({ queryKey: ['alert'] });
              finish();
            }}
          />
        )}
        {dialogue?.kind === 'except' && first !== undefined && <ExceptDialogue alert={first} cancel={shut} done={finish} />}
      </Suspense>
    </Context.Provider>
  );
}

export function useTriage(): Triage {
  const value = useContext(Context);
  if (value === null) throw new Error('useTriage outside TriageProvider');
  return value;
}

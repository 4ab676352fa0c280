/**
 * The console's stream of server-sent events: new alerts are kept aside, not shown, until the reader asks for them; the
 * figures of the status line come the same way. A stream that says nothing for too long counts as cut; when it is back,
 * what the page shows is read again and what was missed is asked for.
 */
import { useQueryClient, type Query } from '@tanstack/react-query';
import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';

import { address, poll } from './http';
import { useSession } from './session';
import type { Alert, AlertList, StatusFigures } from './types';

export type LineState = 'live' | 'paused' | 'lost';

interface Live {
  line: LineState;
  /** Untouched alerts that the stream told of since the queue was last read, by id. */
  fresh: ReadonlyMap<string, Alert>;
  /** The queue has been read: nothing waits. */
  seen: () => void;
  toggle: () => void;
  figures: StatusFigures | null;
  /** When the console was last heard; what the page shows is at least as old while the line is not live. */
  heardAt: number | null;
}

const Context = createContext<Live | null>(null);

/** Of more than this many waiting alerts the page only needs to know that there are many. */
const MOST_FRESH = 2_000;

/** After how long a stream that the console ended is tried again, in milliseconds. */
const AGAIN_MS = 3_000;

/** The console tells figures every ten seconds; after three times in vain the line is cut, whatever the browser thinks. */
const SILENT_MS = 35_000;

/** What was missed in a cut is asked for from a little before it. */
const OVERLAP_MS = 3_600_000;

/** Lists that must not move under the hand; everything else is read again after a cut. */
function mayMove({ queryKey: [name, part] }: Query): boolean {
  return !(name === 'alerts' && part === 'list') && name !== 'events';
}

/** A message of the stream, or null when it is not what was promised. */
export function read(data: string): unknown {
  try {
    return JSON.parse(data) as unknown;
  } catch {
    return null;
  }
}

/** The waiting alerts after a message: untouched ones come in, those that somebody took go out. */
export function gather(known: ReadonlyMap<string, Alert>, told: readonly Alert[]): ReadonlyMap<string, Alert> {
  const after = new Map(known);
  for (const alert of told) {
    if (alert.state !== 'new') after.delete(alert.id);
    else if (after.size < MOST_FRESH) after.set(alert.id, alert);
  }
  return after;
}

export function LiveProvider({ children }: { children: ReactNode }) {
  const { check } = useSession();
  const [paused, setPaused] = useState(false);
  const [lost, setLost] = useState(!navigator.onLine);
  const [fresh, setFresh] = useState<ReadonlyMap<string, Alert>>(new Map());
  const [figures, setFigures] = useState<StatusFigures | null>(null);
  const [attempt, setAttempt] = useState(0);
  const [heardAt, setHeardAt] = useState<number | null>(null);
  const queries = useQueryClient();
  const gone = useRef<number | null>(null);

  const cut = useCallback(() => {
    gone.current ??= Date.now();
    setLost(true);
  }, []);
  const back = useCallback(async () => {
    setLost(false);
    const since = gone.current;
    if (since === null) return;
    gone.current = null;
    void queries.invalidateQueries({ predicate: mayMove });
    try {
      const { alerts } = await poll<AlertList>('/alerts', { state: ['new'], since: since - OVERLAP_MS, limit: 200 });
      setFresh((known) => gather(known, alerts));
    } catch {
      // The line went again: its return asks again from the same moment.
      gone.current = since;
    }
  }, [queries]);

  useEffect(() => {
    if (paused) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stream = new EventSource(address('/stream'));
    let silence: ReturnType<typeof setTimeout> | undefined;
    const heard = () => {
      setHeardAt(Date.now());
      clearTimeout(silence);
      silence = setTimeout(() => {
        cut();
        setAttempt((before) => before + 1);
      }, SILENT_MS);
    };
    stream.onopen = () => {
      heard();
      void back();
    };
    stream.onerror = () => {
      cut();
      if (stream.readyState !== EventSource.CLOSED) return;
      // The browser gave up: the session may be over, or the console is starting again.
      void check();
      timer = setTimeout(() => setAttempt((before) => before + 1), AGAIN_MS);
    };
    stream.addEventListener('alerts', (event: MessageEvent<string>) => {
      heard();
      const message = read(event.data) as { alerts: Alert[] } | null;
      if (message !== null) setFresh((known) => gather(known, message.alerts));
    });
    stream.addEventListener('figures', (event: MessageEvent<string>) => {
      heard();
      const message = read(event.data) as StatusFigures | null;
      if (message !== null) setFigures(message);
    });
    // The browser knows at once that its network went and came; the stream would notice later.
    const offline = () => cut();
    const online = () => setAttempt((before) => before + 1);
    window.addEventListener('offline', offline);
    window.addEventListener('online', online);
    return () => {
      stream.close();
      clearTimeout(timer);
      clearTimeout(silence);
      window.removeEventListener('online', online);
      window.removeEventListener('offline', offline);
    };
  }, [paused, attempt, check, cut, back]);

  const seen = useCallback(() => setFresh(new Map()), []);
  const toggle = useCallback(() => setPaused((before) => !before), []);
  const line: LineState = paused ? 'paused' : lost ? 'lost' : 'live';
  const value = useMemo<Live>(() => ({ line, fresh, seen, toggle, figures, heardAt }), [line, fresh, seen, toggle, figures, heardAt]);
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

export function useLive(): Live {
  const value = useContext(Context);
  if (value === null) throw new Error('useLive outside LiveProvider');
  return value;
}

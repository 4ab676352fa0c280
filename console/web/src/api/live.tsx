/**
 * The console's stream of server-sent events: new alerts are kept aside, not shown, until the reader asks for them; the
 * figures of the status line come the same way.
 */
import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from 'react';

import { address } from './http';
import { useSession } from './session';
import type { Alert, StatusFigures } from './types';

export type LineState = 'live' | 'paused' | 'lost';

interface Live {
  line: LineState;
  /** Untouched alerts that the stream told of since the queue was last read, by id. */
  fresh: ReadonlyMap<string, Alert>;
  /** The queue has been read: nothing waits. */
  seen: () => void;
  toggle: () => void;
  figures: StatusFigures | null;
}

const Context = createContext<Live | null>(null);

/** Of more than this many waiting alerts the page only needs to know that there are many. */
const MOST_FRESH = 2_000;

/** After how long a stream that the console ended is tried again, in milliseconds. */
const AGAIN_MS = 3_000;

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

  useEffect(() => {
    if (paused) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stream = new EventSource(address('/stream'));
    stream.onopen = () => setLost(false);
    stream.onerror = () => {
      setLost(true);
      if (stream.readyState !== EventSource.CLOSED) return;
      // The browser gave up: the session may be over, or the console is starting again.
      void check();
      timer = setTimeout(() => setAttempt((before) => before + 1), AGAIN_MS);
    };
    stream.addEventListener('alerts', (event: MessageEvent<string>) => {
      const message = read(event.data) as { alerts: Alert[] } | null;
      if (message !== null) setFresh((known) => gather(known, message.alerts));
    });
    stream.addEventListener('figures', (event: MessageEvent<string>) => {
      const message = read(event.data) as StatusFigures | null;
      if (message !== null) setFigures(message);
    });
    const offline = () => setLost(true);
    window.addEventListener('offline', offline);
    return () => {
      stream.close();
      clearTimeout(timer);
      window.removeEventListener('offline', offline);
    };
  }, [paused, attempt, check]);

  const seen = useCallback(() => setFresh(new Map()), []);
  const toggle = useCallback(() => setPaused((before) => !before), []);
  const line: LineState = paused ? 'paused' : lost ? 'lost' : 'live';
  const value = useMemo<Live>(() => ({ line, fresh, seen, toggle, figures }), [line, fresh, seen, toggle, figures]);
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

export function useLive(): Live {
  const value = useContext(Context);
  if (value === null) throw new Error('useLive outside LiveProvider');
  return value;
}

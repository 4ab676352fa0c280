/** The console's stream of server-sent events: new alerts are counted, not shown, until the reader asks for them. */
import { useQuery } from '@tanstack/react-query';
import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from 'react';

import { address, poll } from './http';
import type { Health } from './types';

export type LineState = 'live' | 'paused' | 'lost';

interface Live {
  line: LineState;
  /** New alerts since the queue was last read. */
  waiting: number;
  /** The queue has been read: nothing waits. */
  seen: () => void;
  toggle: () => void;
  health: Health | undefined;
}

const Context = createContext<Live | null>(null);

export function LiveProvider({ children }: { children: ReactNode }) {
  const [paused, setPaused] = useState(false);
  const [lost, setLost] = useState(!navigator.onLine);
  const [fresh, setFresh] = useState<ReadonlySet<string>>(new Set());

  useEffect(() => {
    if (paused) return;
    const stream = new EventSource(address('/stream'));
    stream.onopen = () => setLost(false);
    stream.onerror = () => setLost(true);
    stream.addEventListener('alert', (event: MessageEvent<string>) => {
      const id = freshAlert(event.data);
      if (id !== null) setFresh((known) => (known.has(id) || known.size >= 10_000 ? known : new Set(known).add(id)));
    });
    const offline = () => setLost(true);
    window.addEventListener('offline', offline);
    return () => {
      stream.close();
      window.removeEventListener('offline', offline);
    };
  }, [paused]);

  const health = useQuery({
    queryKey: ['health'],
    queryFn: ({ signal }) => poll<Health>('/health', {}, signal),
    refetchInterval: paused ? false : 5_000,
  });

  const seen = useCallback(() => setFresh(new Set()), []);
  const toggle = useCallback(() => setPaused((before) => !before), []);
  const line: LineState = paused ? 'paused' : lost ? 'lost' : 'live';
  const value = useMemo<Live>(
    () => ({ line, waiting: fresh.size, seen, toggle, health: health.data }),
    [line, fresh, seen, toggle, health.data],
  );
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

/** The id of the alert when the message tells of a new one; changes of known alerts are none of the queue's news. */
export function freshAlert(data: string): string | null {
  try {
    const message = JSON.parse(data) as { id?: unknown; state?: unknown; version?: unknown };
    return typeof message.id === 'string' && message.state === 'new' ? message.id : null;
  } catch {
    return null;
  }
}

export function useLive(): Live {
  const value = useContext(Context);
  if (value === null) throw new Error('useLive outside LiveProvider');
  return value;
}

/** Who is signed in: asked once at the start, changed by signing in and out, ended by the console's 401. */
import { useQueryClient } from '@tanstack/react-query';
import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from 'react';

import { useWords, type Language } from '../i18n';
import { ApiError, get, keepCsrf, onSignedOut, poll, post, put, remove } from './http';
import type { Me } from './types';

interface SessionAnswer {
  account: Me;
  csrf_token: string;
}

export interface Session {
  /** `undefined`: not known yet; `null`: nobody. */
  me: Me | null | undefined;
  /** The session ended under the page, not by the person. */
  expired: boolean;
  /** Why the first question failed, when it was not a plain "nobody". */
  failure: unknown;
  start: () => Promise<void>;
  /** Asks whether the session still holds; ends it here when it does not. */
  check: () => Promise<void>;
  signIn: (login: string, password: string) => Promise<void>;
  signOut: () => Promise<void>;
  changePassword: (current: string, wanted: string) => Promise<void>;
  chooseLanguage: (language: Language) => void;
  /** Whether the person may change anything (analysts and administrators). */
  mayWrite: boolean;
  isAdministrator: boolean;
}

const Context = createContext<Session | null>(null);

export function SessionProvider({ children }: { children: ReactNode }) {
  const queries = useQueryClient();
  const { setLanguage } = useWords();
  const [me, setMe] = useState<Me | null | undefined>(undefined);
  const [expired, setExpired] = useState(false);
  const [failure, setFailure] = useState<unknown>(null);

  const accept = useCallback((answer: SessionAnswer) => {
    keepCsrf(answer.csrf_token);
    setExpired(false);
    setFailure(null);
    setMe(answer.account);
  }, []);

  const start = useCallback(async () => {
    try {
      accept(await get<SessionAnswer>('/session'));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) setMe(null);
      else setFailure(error);
    }
  }, [accept]);

  const end = useCallback(() => {
    setExpired(true);
    setMe(null);
    queries.clear();
  }, [queries]);

  const check = useCallback(async () => {
    try {
      await poll('/session');
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) end();
    }
  }, [end]);

  useEffect(() => {
    onSignedOut(end);
    void start();
  }, [end, start]);

  const signIn = useCallback(async (login: string, password: string) => {
    accept(await post<SessionAnswer>('/session', { login, password }));
  }, [accept]);

  const signOut = useCallback(async () => {
    await remove('/session');
    queries.clear();
    setExpired(false);
    setMe(null);
  }, [queries]);

  const changePassword = useCallback(async (current: string, wanted: string) => {
    accept(await post<SessionAnswer>('/session/password', { present: current, new: wanted }));
  }, [accept]);

  const chooseLanguage = useCallback((language: Language) => {
    setLanguage(language);
    // The choice holds in this browser at once; the console keeps it for mails. A failure there changes nothing here.
    if (me) put('/session/language', { language }).catch(() => undefined);
  }, [me, setLanguage]);

  const value = useMemo<Session>(() => ({
    me, expired, failure, start, check, signIn, signOut, changePassword, chooseLanguage,
    mayWrite: me?.role === 'administrator' || me?.role === 'analyst',
    isAdministrator: me?.role === 'administrator',
  }), [me, expired, failure, start, check, signIn, signOut, changePassword, chooseLanguage]);
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

export function useSession(): Session {
  const value = useContext(Context);
  if (value === null) throw new Error('useSession outside SessionProvider');
  return value;
}

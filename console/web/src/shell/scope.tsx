/** The agency that the person looks at now: all that the person may see, or one of them. */
import { createContext, useContext, useMemo, useState, type ReactNode } from 'react';

const Context = createContext<{ organization: string; choose: (organization: string) => void } | null>(null);

export function ScopeProvider({ children }: { children: ReactNode }) {
  const [organization, choose] = useState('');
  const value = useMemo(() => ({ organization, choose }), [organization]);
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

/** `organization` is empty when nothing is narrowed. */
export function useScope() {
  const value = useContext(Context);
  if (value === null) throw new Error('useScope outside ScopeProvider');
  return value;
}

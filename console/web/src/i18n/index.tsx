/** The language of the page: Vietnamese first, English in full; remembered in the browser and told to the console. */
import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from 'react';

import { en } from './en';
import * as format from './format';
import { fill, type Language, type Values } from './translate';
import { vi } from './vi';

export type Key = keyof typeof vi;
export type { Language } from './translate';

const CATALOGUES: Record<Language, Record<Key, string>> = { vi, en };
const KEPT_AS = 'dongson.language';

export interface Words {
  language: Language;
  setLanguage: (language: Language) => void;
  /** The text of `key` in the language of the page. */
  t: (key: Key, values?: Values) => string;
  /** The text of a key made of parts (`state.` + what the API said), or the last part when the catalogue lacks it. */
  name: (group: string, value: string) => string;
  number: (value: number, digits?: number) => string;
  change: (value: number, before: number | null) => string | null;
  moment: (ms: number) => string;
  span: (ms: number) => string;
  /** Chooses between a Vietnamese and an English text of the API; the other one where it is empty. */
  pick: (vietnamese: string | null | undefined, english: string | null | undefined) => string;
}

const Context = createContext<Words | null>(null);

function has(key: string): key is Key {
  return Object.hasOwn(vi, key);
}

function words(language: Language, setLanguage: (language: Language) => void): Words {
  const catalogue = CATALOGUES[language];
  const number = (value: number, digits?: number): string => format.number(value, language, digits);
  const t = (key: Key, values?: Values): string => fill(catalogue[key], values ?? {}, number);
  return {
    language,
    setLanguage,
    t,
    name: (group, value) => {
      const key = `${group}.${value}`;
      return has(key) ? t(key) : value;
    },
    number,
    change: (value, before) => format.change(value, before, language),
    moment: (ms) => format.moment(ms, language),
    span: (ms) => format.span(ms, language),
    pick: (vietnamese, english) => {
      const [first, second] = language === 'vi' ? [vietnamese, english] : [english, vietnamese];
      return first !== null && first !== undefined && first !== '' ? first : (second ?? '');
    },
  };
}

export function WordsProvider({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState<Language>(() => (localStorage.getItem(KEPT_AS) === 'en' ? 'en' : 'vi'));
  useEffect(() => {
    localStorage.setItem(KEPT_AS, language);
    document.documentElement.lang = language;
  }, [language]);
  const value = useMemo(() => words(language, setLanguage), [language]);
  return <Context value={value}>{children}</Context>;
}

export function useWords(): Words {
  const value = useContext(Context);
  if (value === null) throw new Error('useWords outside WordsProvider');
  return value;
}

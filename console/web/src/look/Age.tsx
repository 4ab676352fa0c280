/** How old something is, in a sentence of the catalogue with `{time}` and `{age}`; counts on by itself. */
import { useEffect, useState } from 'react';

import { useWords, type Key } from '../i18n';
import { clock } from '../i18n/format';

const TICK_MS = 1_000;

export function Age({ word, at }: { word: Key; at: number }) {
  const { t, span } = useWords();
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return t(word, { time: clock(at), age: span(now - at) });
}

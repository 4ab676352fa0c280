/** Severity is never colour alone: a shape, a colour and a word. */
import type { ReactNode } from 'react';

import type { Level } from '../api/types';
import { useWords } from '../i18n';

const SHAPES: Record<Level, ReactNode> = {
  critical: <path d="M6 0 12 6 6 12 0 6Z" fill="currentColor" />,
  high: <path d="M6 .8 12 11.4H0Z" fill="currentColor" />,
  medium: <circle cx="6" cy="6" r="4.6" fill="currentColor" />,
  low: <circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" strokeWidth="2" />,
  informational: <path d="M1 5h10v2H1z" fill="currentColor" />,
};

export function Severity({ level, wordless = false }: { level: Level; wordless?: boolean }) {
  const { name } = useWords();
  const word = name('level', level);
  return (
    <span className={`severity ${level}`} title={word}>
      <svg width="12" height="12" viewBox="0 0 12 12" role="img" aria-label={word}>{SHAPES[level]}</svg>
      {!wordless && <span className="word">{word}</span>}
    </span>
  );
}

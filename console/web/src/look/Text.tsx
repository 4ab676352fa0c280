/** Small texts that every page shows: a text from outside, a time, a mark of a key. */
import { App, Tooltip } from 'antd';
import { Fragment, type ReactNode } from 'react';

import { useWords } from '../i18n';
import * as format from '../i18n/format';
import { pieces, visible } from './visible';

/** A text that came from outside: hidden signs become marked escapes. */
export function Outside({ text }: { text: string }) {
  const found = pieces(text);
  if (found.every((piece) => !piece.escape)) return text;
  return found.map((piece, index) => (piece.escape ? <span key={index} className="escape">{piece.text}</span> : piece.text));
}

/** The same in one line: cut with an ellipsis, whole on hover. */
export function Cut({ text, mono = false, className = '' }: { text: string; mono?: boolean; className?: string }) {
  return (
    <span className={`cut ${mono ? 'mono' : ''} ${className}`} title={visible(text)} style={{ display: 'block' }}>
      <Outside text={text} />
    </span>
  );
}

/** A text of several lines: line ends stay line ends, everything else that is hidden is shown. */
export function Lines({ text }: { text: string }) {
  return text.split('\n').map((line, index) => (
    <span key={index}>
      {index > 0 && '\n'}
      <Outside text={line.replace(/\r$/, '')} />
    </span>
  ));
}

/** A time: short in a list, whole elsewhere; the ISO form and UTC on hover, copied on click. */
export function Time({ at, brief = false }: { at: number | null; brief?: boolean }) {
  const { language, t } = useWords();
  const { message } = App.useApp();
  if (at === null) return <span className="faint">{t('common.never')}</span>;
  const iso = format.iso(at);
  const copy = async () => {
    await navigator.clipboard.writeText(iso);
    void message.success(`${t('common.copied')}: ${iso}`);
  };
  return (
    <Tooltip title={<>{format.moment(at, language)} ({t('shell.utc7')})<br />{iso}<br />{t('common.clickToCopy')}</>} mouseEnterDelay={0.4}>
      <button
        type="button"
        className="time"
        tabIndex={-1}
        onClick={(event) => {
          event.stopPropagation();
          void copy();
        }}
      >
        {brief ? format.brief(at, Date.now(), language) : format.moment(at, language)}
      </button>
    </Tooltip>
  );
}

export function KeyMark({ keys }: { keys: string }) {
  return <kbd className="kbd">{keys}</kbd>;
}

/** A sentence of the catalogue whose slots hold elements: `{rule}` in `pattern` becomes `parts.rule`. */
export function Rich({ pattern, parts }: { pattern: string; parts: Readonly<Record<string, ReactNode>> }) {
  return pattern.split(/(\{\w+\})/).map((piece, index) => {
    const name = /^\{(\w+)\}$/.exec(piece)?.[1];
    return <Fragment key={index}>{name === undefined ? piece : (parts[name] ?? piece)}</Fragment>;
  });
}

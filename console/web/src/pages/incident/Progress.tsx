/** The course of an incident: a box to write in, then what happened, the newest first; entries are never changed. */
import { useQueryClient } from '@tanstack/react-query';
import { App, Button, Input } from 'antd';
import { useState, type RefObject } from 'react';

import { comment, useTimeline } from '../../api/incidents';
import { usePersonName } from '../../api/people';
import { useSession } from '../../api/session';
import type { Entry, Incident } from '../../api/types';
import { useWords } from '../../i18n';
import { Empty, Loaded, useFailure } from '../../look/States';
import { Lines, Outside, Time } from '../../look/Text';

const TIMES = ['detected_at', 'first_notice_at', 'report_at'];
const GROUPS: Readonly<Record<string, string>> = { status: 'status', class: 'class', severity: 'level', legal_category: 'category' };

/** What a changed field was and is, in words. */
function Changed({ data }: { data: Record<string, unknown> }) {
  const { t, name, moment } = useWords();
  const person = usePersonName();
  const word = (field: string, value: unknown): string => {
    if (value === null || value === undefined || value === '') return t('field.nobody');
    if (TIMES.includes(field)) return moment(Number(value));
    if (typeof value !== 'string') return JSON.stringify(value);
    if (field === 'owner') return person(value);
    const group = GROUPS[field];
    return group === undefined ? value : name(group, value);
  };
  return Object.entries(data).map(([field, pair]) => {
    if (!Array.isArray(pair)) return null;
    const [before, after] = pair as unknown[];
    return <div key={field} className="soft">{name('field', field)}: <Outside text={word(field, before)} /> → <span style={{ color: 'var(--text)' }}><Outside text={word(field, after)} /></span></div>;
  });
}

function One({ entry }: { entry: Entry }) {
  const { t, name } = useWords();
  const person = usePersonName();
  return (
    <div className="entry" data-test="entry" data-kind={entry.kind}>
      <span className="faint"><Time at={entry.at} /></span>
      <div title={t('incident.chain', { hash: entry.hash })}>
        <div><b>{person(entry.who)}</b> <span className="soft">{name('entry', entry.kind)}</span></div>
        {entry.kind === 'changed' && entry.data !== null ? <Changed data={entry.data} /> : entry.text !== '' && <div className="said"><Lines text={entry.text} /></div>}
      </div>
    </div>
  );
}

export function Progress({ incident, box }: { incident: Incident; box: RefObject<HTMLTextAreaElement | null> }) {
  const { t } = useWords();
  const { message } = App.useApp();
  const { mayWrite } = useSession();
  const queries = useQueryClient();
  const words = useFailure();
  const timeline = useTimeline(incident.id);
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);

  const send = async () => {
    if (text.trim() === '' || busy) return;
    setBusy(true);
    try {
      await comment(incident.id, text.trim());
      setText('');
      await queries.invalidateQueries({ queryKey: ['incident', incident.id] });
    } catch (error) {
      void message.error(words(error), 6);
    } finally {
      setBusy(false);
    }
  };

  return (
    <div className="stack">
      {mayWrite && incident.status !== 'closed' && (
        <div className="stack" style={{ gap: 6 }}>
          <Input.TextArea
            ref={(area) => {
              box.current = area?.resizableTextArea?.textArea ?? null;
            }}
            data-test="comment"
            value={text}
            maxLength={10_000}
            autoSize={{ minRows: 2, maxRows: 8 }}
            placeholder={t('incident.comment')}
            aria-label={t('incident.comment')}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void send();
              if (event.key === 'Escape') event.currentTarget.blur();
            }}
          />
          <div className="row"><span className="faint grow">{t('incident.commentHint')}</span><Button onClick={() => void send()} loading={busy} disabled={text.trim() === ''}>{t('incident.send')}</Button></div>
        </div>
      )}
      <Loaded query={timeline} lines={6}>
        {(course) => (course.entries.length === 0
          ? <Empty text={t('incident.noProgress')} />
          : (
            <div>
              {[...course.entries].sort((one, other) => other.sequence - one.sequence).map((entry) => <One key={entry.sequence} entry={entry} />)}
              <p className={course.unbroken ? 'faint' : 'critical'} style={{ padding: '8px 0', fontSize: 12 }}>{course.unbroken ? t('incident.unbroken') : t('incident.broken')}</p>
            </div>
          ))}
      </Loaded>
    </div>
  );
}

/** The fields of what was found, with how many of the loaded events have them; one opens with its most frequent values. */
import { Input, Popover } from 'antd';
import { useMemo, useState } from 'react';

import { useFieldNames, useTopValues, type HuntQuestion } from '../../api/events';
import type { Fields as Event } from '../../api/types';
import { useWords } from '../../i18n';
import { Failed, Skeleton } from '../../look/States';
import { Cut, Outside } from '../../look/Text';
import { fieldNames } from '../alert/record';
import { fold } from '../rules/search';
import type { Filter } from './query';
import { useMeaning } from './useFieldOptions';
import { ValueActions } from './ValueActions';

interface Props {
  events: readonly Event[];
  /** Nothing was found yet: the first answer is on its way. */
  waiting: boolean;
  question: HuntQuestion;
  columns: readonly string[];
  toggle: (column: string) => void;
  add: (filter: Filter) => void;
}

/** Names by how many of the events have them; those that nobody asks for stand behind. */
export function occurring(events: readonly Event[]): { name: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const event of events) for (const name of fieldNames(event)) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => ({ name, count })).sort((one, other) => one.name.localeCompare(other.name));
}

function Values({ name, question, add, shown, toggle }: { name: string; question: HuntQuestion; add: (filter: Filter) => void; shown: boolean; toggle: () => void }) {
  const { t, number } = useWords();
  const { data: known } = useFieldNames();
  const meaning = useMeaning();
  const values = useTopValues(question, name);
  const field = known?.find((one) => one.name === name);
  const most = Math.max(1, ...(values.data ?? []).map((value) => value.count));
  return (
    <div className="top-values" data-test="top-values">
      <b className="mono" style={{ overflowWrap: 'anywhere' }}><Outside text={name} /></b>
      {field !== undefined && <span className="soft">{meaning(field)}{field.unit !== '' && ` (${field.unit})`}</span>}
      {values.error !== null && <Failed error={values.error} retry={() => void values.refetch()} />}
      {values.data === undefined && values.error === null && <Skeleton lines={5} />}
      {values.data?.length === 0 && <span className="faint">{t('hunt.noValues')}</span>}
      {values.data?.map((value) => (
        <div key={value.value} className="value hot">
          <span className="line"><Cut text={value.value} mono className="grow" /><ValueActions field={name} value={value.value} add={add} /><span className="number" title={value.exact ? undefined : t('hunt.inexact')}>{number(value.count)}{!value.exact && '+'}</span></span>
          <span className="bars"><i style={{ width: `${(value.count / most) * 100}%`, background: 'var(--accent)' }} /></span>
        </div>
      ))}
      <div className="row">
        <button type="button" className="chip" onClick={toggle}>{shown ? t('hunt.removeColumn') : t('hunt.addColumn')}</button>
        <button type="button" className="chip" onClick={() => add({ field: name, operator: 'exists', value: '' })}>{t('hunt.onlyWith')}</button>
      </div>
    </div>
  );
}

export function Fields({ events, waiting, question, columns, toggle, add }: Props) {
  const { t, number } = useWords();
  const [text, setText] = useState('');
  const [open, setOpen] = useState<string | null>(null);
  const all = useMemo(() => occurring(events), [events]);
  const shown = all.filter(({ name }) => fold(name).includes(fold(text.trim())));
  return (
    <aside className="hunt-fields" aria-label={t('hunt.fields')}>
      <Input size="small" allowClear value={text} onChange={(event) => setText(event.target.value)} placeholder={t('hunt.findField')} aria-label={t('hunt.findField')} />
      <div className="scroll" tabIndex={-1}>
        {shown.map(({ name, count }) => (
          <Popover
            key={name}
            open={open === name}
            onOpenChange={(next) => setOpen(next ? name : null)}
            trigger="click"
            placement="rightTop"
            destroyOnHidden
            content={(
              <Values
                name={name}
                question={question}
                shown={columns.includes(name)}
                toggle={() => toggle(name)}
                add={(filter) => {
                  setOpen(null);
                  add(filter);
                }}
              />
            )}
          >
            <button type="button" className={`plain item ${columns.includes(name) ? 'on' : ''}`} title={t('hunt.fieldShare', { field: name, n: count, all: events.length })}>
              <span className="cut grow mono"><Outside text={name} /></span><span className="faint">{number(Math.round((count / Math.max(1, events.length)) * 100), 0)}%</span>
            </button>
          </Popover>
        ))}
        {waiting && <Skeleton lines={14} />}
        {!waiting && shown.length === 0 && <span className="faint" style={{ padding: 8 }}>{t('hunt.noFields')}</span>}
      </div>
    </aside>
  );
}

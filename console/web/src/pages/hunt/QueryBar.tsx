/** The line where a hunt is typed: words, and conditions as `field:value`; names of fields are completed. */
import { AutoComplete, Input } from 'antd';
import { useEffect, useMemo, useState } from 'react';

import { useFieldNames } from '../../api/events';
import { useWords } from '../../i18n';
import { Outside } from '../../look/Text';
import { findFault, namePart, readLine, withFilter, type Fault, type Hunt } from './query';
import { useFieldOptions } from './useFieldOptions';

/** Marks the value of an entry of the menu; nobody types it. */
const ENTRY = '\u0000';

export function QueryBar({ hunt, setHunt, again }: { hunt: Hunt; setHunt: (hunt: Hunt) => void; again: () => void }) {
  const { t } = useWords();
  const { data } = useFieldNames();
  const known = useMemo(() => new Set((data ?? []).map((field) => field.name)), [data]);
  const [line, setLine] = useState(hunt.q);
  const [fault, setFault] = useState<Fault | null>(null);
  useEffect(() => setLine(hunt.q), [hunt.q]);
  const part = namePart(line);
  // The library chooses an entry by itself when its value begins like the line; Enter must search unless the arrows chose.
  const options = useFieldOptions(part).map((option) => ({ ...option, value: ENTRY + option.value }));
  const type = (text: string) => {
    setFault(null);
    setLine(text.startsWith(ENTRY) && part !== null ? `${line.slice(0, line.length - part.length)}${text.slice(ENTRY.length)}:` : text);
  };

  const send = () => {
    const found = findFault(line);
    setFault(found);
    if (found !== null) return;
    const { q, filters } = readLine(line, known);
    const next = filters.reduce(withFilter, { ...hunt, q });
    setLine(q);
    if (filters.length === 0 && q === hunt.q) again();
    else setHunt(next);
  };
  return (
    <div className="grow query-bar">
      <AutoComplete
        style={{ width: '100%' }}
        value={line}
        options={options}
        onChange={type}
        defaultActiveFirstOption={false}
        popupMatchSelectWidth={560}
        {...(options.length === 0 ? { open: false } : {})}
      >
        <Input
          data-search="page"
          data-test="hunt-query"
          aria-label={t('hunt.query')}
          placeholder={t('hunt.placeholder')}
          maxLength={1000}
          {...(fault === null ? {} : { status: 'error' as const, 'aria-invalid': true, 'aria-describedby': 'query-fault' })}
          suffix={<kbd className="kbd">/</kbd>}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && !event.nativeEvent.isComposing && !chosen(event.currentTarget)) send();
            if (event.key === 'Escape') event.currentTarget.blur();
          }}
        />
      </AutoComplete>
      {fault !== null && (
        <div className="query-fault" id="query-fault" role="alert" data-test="query-fault">
          <span className="before" aria-hidden="true">{line.slice(0, fault.at)}</span>
          <span className="mark" aria-hidden="true">▴</span>
          <span><Outside text={t('hunt.noValue', { field: fault.field })} /></span>
        </div>
      )}
    </div>
  );
}

/** Whether the arrow keys stand on an entry of the open menu: then Enter takes that entry. */
function chosen(field: HTMLInputElement): boolean {
  const list = field.getAttribute('aria-expanded') === 'true' ? document.querySelector('.ant-select-dropdown:not(.ant-select-dropdown-hidden) .ant-select-item-option-active') : null;
  return list !== null;
}

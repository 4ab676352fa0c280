/** The line where a hunt is typed: words, and conditions as `field:value`; names of fields are completed. */
import { AutoComplete, Input } from 'antd';
import { useEffect, useMemo, useState } from 'react';

import { useFieldNames } from '../../api/events';
import { useWords } from '../../i18n';
import { namePart, readLine, withFilter, type Hunt } from './query';
import { useFieldOptions } from './useFieldOptions';

/** Marks the value of an entry of the menu; nobody types it. */
const ENTRY = '\u0000';

export function QueryBar({ hunt, setHunt, again }: { hunt: Hunt; setHunt: (hunt: Hunt) => void; again: () => void }) {
  const { t } = useWords();
  const { data } = useFieldNames();
  const known = useMemo(() => new Set((data ?? []).map((field) => field.name)), [data]);
  const [line, setLine] = useState(hunt.q);
  useEffect(() => setLine(hunt.q), [hunt.q]);
  const part = namePart(line);
  // The library chooses an entry by itself when its value begins like the line; Enter must search unless the arrows chose.
  const options = useFieldOptions(part).map((option) => ({ ...option, value: ENTRY + option.value }));
  const type = (text: string) => setLine(text.startsWith(ENTRY) && part !== null ? `${line.slice(0, line.length - part.length)}${text.slice(ENTRY.length)}:` : text);

  const send = () => {
    const { q, filters } = readLine(line, known);
    const next = filters.reduce(withFilter, { ...hunt, q });
    setLine(q);
    if (filters.length === 0 && q === hunt.q) again();
    else setHunt(next);
  };
  return (
    <AutoComplete
      className="grow"
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
        suffix={<kbd className="kbd">/</kbd>}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && !event.nativeEvent.isComposing && !chosen(event.currentTarget)) send();
          if (event.key === 'Escape') event.currentTarget.blur();
        }}
      />
    </AutoComplete>
  );
}

/** Whether the arrow keys stand on an entry of the open menu: then Enter takes that entry. */
function chosen(field: HTMLInputElement): boolean {
  const list = field.getAttribute('aria-expanded') === 'true' ? document.querySelector('.ant-select-dropdown:not(.ant-select-dropdown-hidden) .ant-select-item-option-active') : null;
  return list !== null;
}

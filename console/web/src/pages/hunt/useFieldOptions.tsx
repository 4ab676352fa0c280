/** Names of fields that fit what is typed, each with its meaning. */
import { useMemo } from 'react';

import { useFieldNames, type FieldName } from '../../api/events';
import { useWords } from '../../i18n';
import { fold } from '../rules/search';

const SHOWN = 30;

export interface FieldOption {
  value: string;
  label: React.ReactNode;
}

/** Those whose name begins with `part` first, then those that hold it in the name or in the meaning. */
export function fitting(fields: readonly FieldName[], part: string, meaning: (field: FieldName) => string): FieldName[] {
  const wanted = fold(part);
  const place = (field: FieldName) => {
    const name = fold(field.name);
    if (name.startsWith(wanted)) return 0;
    if (name.includes(wanted)) return 1;
    return fold(meaning(field)).includes(wanted) ? 2 : 3;
  };
  return fields
    .map((field) => ({ field, place: place(field) }))
    .filter((one) => one.place < 3)
    .sort((one, other) => one.place - other.place)
    .slice(0, SHOWN)
    .map((one) => one.field);
}

export function useMeaning(): (field: FieldName) => string {
  const { pick } = useWords();
  return (field) => pick(field.meaning_vi, field.meaning_en);
}

export function useFieldOptions(part: string | null): FieldOption[] {
  const { data } = useFieldNames();
  const { language } = useWords();
  const meaning = useMeaning();
  return useMemo(
    () => (part === null ? [] : fitting(data ?? [], part, meaning).map((field) => ({
      value: field.name,
      label: <span className="field-option"><span className="mono">{field.name}</span><span className="cut faint">{meaning(field)}</span></span>,
    }))),
    // `meaning` follows the language.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [part, data, language],
  );
}

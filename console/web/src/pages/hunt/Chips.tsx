/** The conditions as chips: a press opens one to be changed, the cross takes it away. */
import { AutoComplete, Button, Input, Popover, Select } from 'antd';
import { useState } from 'react';

import { useWords } from '../../i18n';
import { Icon } from '../../look/icons';
import { Outside } from '../../look/Text';
import { visible } from '../../look/visible';
import { needsValue, OPERATORS, same, withFilter, withoutFilter, type Filter, type Hunt } from './query';
import { useFieldOptions } from './useFieldOptions';

const NEW: Filter = { field: '', operator: 'is', value: '' };

function Editor({ filter, act, done }: { filter: Filter; act: string; done: (filter: Filter) => void }) {
  const { t, name } = useWords();
  const [draft, setDraft] = useState(filter);
  const options = useFieldOptions(draft.field);
  const field = draft.field.trim();
  const complete = field !== '' && (!needsValue(draft.operator) || draft.value !== '');
  const send = () => {
    if (complete) done({ field, operator: draft.operator, value: needsValue(draft.operator) ? draft.value : '' });
  };
  return (
    <form
      className="filter-editor"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <AutoComplete
        autoFocus={filter.field === ''}
        value={draft.field}
        options={options}
        popupMatchSelectWidth={460}
        onChange={(value: string) => setDraft({ ...draft, field: value })}
        style={{ width: 230 }}
        aria-label={t('hunt.field')}
        placeholder={t('hunt.field')}
      />
      <Select
        value={draft.operator}
        onChange={(operator) => setDraft({ ...draft, operator })}
        options={OPERATORS.map((operator) => ({ value: operator, label: name('operator', operator) }))}
        style={{ width: 130 }}
        aria-label={t('hunt.operator')}
      />
      {needsValue(draft.operator) && (
        <Input
          autoFocus={filter.field !== ''}
          value={draft.value}
          onChange={(event) => setDraft({ ...draft, value: event.target.value })}
          aria-label={t('hunt.value')}
          placeholder={t('hunt.value')}
          maxLength={500}
          style={{ width: 220 }}
        />
      )}
      <Button type="primary" htmlType="submit" disabled={!complete}>{act}</Button>
    </form>
  );
}

/** The condition in words, for those who do not see its colours. */
function useSpoken(): (filter: Filter) => string {
  const { name } = useWords();
  return ({ field, operator, value }) => `${field} ${name('operator', operator)} ${visible(value)}`.trim();
}

function Chip({ filter, change, remove }: { filter: Filter; change: (to: Filter) => void; remove: () => void }) {
  const { t, name } = useWords();
  const spoken = useSpoken();
  const [open, setOpen] = useState(false);
  const negative = filter.operator === 'is_not' || filter.operator === 'absent';
  return (
    <span className={`chip condition on ${negative ? 'negative' : ''}`} data-test="condition">
      <Popover
        open={open}
        onOpenChange={setOpen}
        trigger="click"
        placement="bottomLeft"
        destroyOnHidden
        content={(
          <Editor
            filter={filter}
            act={t('hunt.apply')}
            done={(to) => {
              setOpen(false);
              change(to);
            }}
          />
        )}
      >
        <button type="button" className="plain cut" title={spoken(filter)} aria-label={`${t('common.edit')}: ${spoken(filter)}`}>
          <span className="mono"><Outside text={filter.field} /></span>{' '}
          <b>{name('operator', filter.operator)}</b>{' '}
          <span className="mono"><Outside text={filter.value} /></span>
        </button>
      </Popover>
      <button type="button" className="plain cross" aria-label={`${t('hunt.remove')}: ${spoken(filter)}`} title={t('hunt.remove')} onClick={remove}><Icon name="close" size={11} /></button>
    </span>
  );
}

export function Chips({ hunt, setHunt }: { hunt: Hunt; setHunt: (hunt: Hunt) => void }) {
  const { t } = useWords();
  const [adding, setAdding] = useState(false);
  return (
    <>
      {hunt.filters.map((filter) => (
        <Chip
          key={`${filter.operator} ${filter.field} ${filter.value}`}
          filter={filter}
          change={(to) => setHunt({ ...hunt, filters: hunt.filters.filter((one) => same(one, filter) || !same(one, to)).map((one) => (same(one, filter) ? to : one)) })}
          remove={() => setHunt(withoutFilter(hunt, filter))}
        />
      ))}
      <Popover
        open={adding}
        onOpenChange={setAdding}
        trigger="click"
        placement="bottomLeft"
        destroyOnHidden
        content={(
          <Editor
            filter={NEW}
            act={t('hunt.addFilter')}
            done={(filter) => {
              setAdding(false);
              setHunt(withFilter(hunt, filter));
            }}
          />
        )}
      >
        <button type="button" className="chip" data-test="add-filter">+ {t('hunt.addFilter')}</button>
      </Popover>
      {(hunt.filters.length > 0 || hunt.q !== '') && (
        <button type="button" className="chip bare" onClick={() => setHunt({ ...hunt, q: '', filters: [] })}>{t('alerts.clearFilters')}</button>
      )}
    </>
  );
}

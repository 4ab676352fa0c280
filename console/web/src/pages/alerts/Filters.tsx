/** Chips with counts for what there are few of, menus for what there are many of, words for the rest. */
import { Input, Popover, Select } from 'antd';
import { useEffect, useState, type ReactNode } from 'react';

import { SORTS } from '../../api/alerts';
import { useOrganizationName, useRules } from '../../api/places';
import { usePersonName } from '../../api/people';
import { ALERT_STATES, LEVELS, type Facets } from '../../api/types';
import { useWords } from '../../i18n';
import { Severity } from '../../look/Severity';
import { Outside } from '../../look/Text';
import { toggle, type ListName, type View } from './view';

interface ViewProps {
  view: View;
  setView: (view: View) => void;
}

interface Props extends ViewProps {
  counts: Facets | null | undefined;
}

function Chip(props: { on: boolean; count: number | undefined; click: () => void; children: ReactNode; label: string }) {
  const { number } = useWords();
  return (
    <button type="button" className={`chip ${props.on ? 'on' : ''}`} aria-pressed={props.on} onClick={props.click} title={props.label}>
      {props.children}
      {props.count !== undefined && <span className="count">{number(props.count)}</span>}
    </button>
  );
}

/** A chip that opens the list of values with their counts. */
function Menu(props: Props & { name: ListName; title: string; word: (value: string) => string; extra?: string[] }) {
  const { name, view, counts, word } = props;
  const { number } = useWords();
  const facet = name === 'state' || name === 'level' ? [] : (counts?.[name] ?? []);
  const known = new Map(facet.map((item) => [item.value === '' ? 'none' : item.value, item.count]));
  for (const value of view[name]) if (!known.has(value)) known.set(value, 0);
  const chosen = view[name];
  const first = chosen[0];
  return (
    <Popover
      trigger="click"
      placement="bottomLeft"
      content={(
        <div style={{ display: 'flex', flexDirection: 'column', maxHeight: 360, overflow: 'auto', width: 320, gap: 4 }}>
          {[...known].map(([value, count]) => (
            <button key={value} type="button" className={`chip ${chosen.includes(value) ? 'on' : ''}`} style={{ maxWidth: 'none', flex: 'none' }} onClick={() => props.setView(toggle(view, name, value))}>
              <span className="cut grow" style={{ textAlign: 'left' }}><Outside text={word(value)} /></span>
              <span className="count">{number(count)}</span>
            </button>
          ))}
        </div>
      )}
    >
      <button type="button" className={`chip ${chosen.length > 0 ? 'on' : ''}`}>
        <span className="cut">{props.title}{first === undefined ? '' : ': '}{first !== undefined && <Outside text={word(first)} />}{chosen.length > 1 ? ` +${chosen.length - 1}` : ''}</span>
        <span className="count">▾</span>
      </button>
    </Popover>
  );
}

/** What comes first in the list. */
export function Order({ view, setView }: ViewProps) {
  const { t } = useWords();
  return (
    <Select
      size="small"
      value={view.sort}
      className="order"
      style={{ width: 150 }}
      aria-label={t('alerts.sort')}
      options={SORTS.map((sort) => ({ value: sort, label: t(`alertSort.${sort}`) }))}
      onChange={(sort) => setView({ ...view, sort })}
    />
  );
}

function Words({ view, setView }: Props) {
  const { t } = useWords();
  const [text, setText] = useState(view.q);
  useEffect(() => setText(view.q), [view.q]);
  useEffect(() => {
    if (text === view.q) return;
    const timer = setTimeout(() => setView({ ...view, q: text }), 300);
    return () => clearTimeout(timer);
  }, [text, view, setView]);
  return (
    <Input
      data-search="page"
      size="small"
      allowClear
      value={text}
      onChange={(event) => setText(event.target.value)}
      onKeyDown={(event) => {
        if (event.key === 'Escape' || event.key === 'Enter') event.currentTarget.blur();
      }}
      placeholder={t('alerts.search')}
      aria-label={t('alerts.search')}
      suffix={text === '' ? <kbd className="kbd">/</kbd> : null}
      style={{ width: 230 }}
    />
  );
}

export function Filters(props: Props) {
  const { view, setView, counts } = props;
  const { t, name, pick, language } = useWords();
  const agency = useOrganizationName();
  const person = usePersonName();
  const rules = useRules();
  const of = (list: 'state' | 'level', value: string) => (counts == null ? undefined : (counts[list].find((item) => item.value === value)?.count ?? 0));
  const ruleName = (id: string) => {
    const rule = rules.data?.find((one) => one.id === id);
    return rule === undefined ? id : pick(rule.title_vi, rule.title);
  };
  return (
    <div className="filters" role="toolbar" aria-label={t('common.search')}>
      <Words {...props} />
      {LEVELS.map((level) => (
        <Chip key={level} label={name('level', level)} on={view.level.includes(level)} count={of('level', level)} click={() => setView(toggle(view, 'level', level))}>
          <Severity level={level} />
        </Chip>
      ))}
      {ALERT_STATES.map((state) => (
        <Chip key={state} label={t(`state.${state}`)} on={view.state.includes(state)} count={of('state', state)} click={() => setView(toggle(view, 'state', state))}>
          {t(`state.${state}`)}
        </Chip>
      ))}
      <Menu {...props} name="organization" title={t('alerts.filterAgency')} word={(id) => agency(id, language)} />
      <Menu {...props} name="rule" title={t('alerts.filterRule')} word={ruleName} />
      <Menu {...props} name="owner" title={t('alerts.filterOwner')} word={(id) => (id === 'none' ? t('common.unassigned') : person(id))} />
      {view.entity !== '' && (
        <Chip label={view.entity} on count={undefined} click={() => setView({ ...view, entity: '' })}>
          <span className="cut">{t('alerts.filterEntity')}: <Outside text={view.entity} /></span> ✕
        </Chip>
      )}
    </div>
  );
}

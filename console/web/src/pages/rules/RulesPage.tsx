/** The rules that are loaded; one of them opens at the right with its whole text. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { Button, Input } from 'antd';
import { useEffect, useMemo, useRef, useState } from 'react';
import { Link, useSearchParams } from 'react-router';

import { useRule, useRules } from '../../api/places';
import { LEVELS, type Level, type Rule } from '../../api/types';
import { useWords } from '../../i18n';
import { DrawerFrame } from '../../look/DrawerFrame';
import { Icon } from '../../look/icons';
import { Severity } from '../../look/Severity';
import { Empty, Loaded } from '../../look/States';
import { Cut, Lines, Outside } from '../../look/Text';
import { techniques } from '../alerts/classify';
import { ANY, encode } from '../alerts/view';
import { useKeys } from '../../shell/keyboard';
import { logsource, matches, worstFirst } from './search';

const ROW_PX = 32;

function One({ id, close }: { id: string; close: () => void }) {
  const { t, pick, name } = useWords();
  const rule = useRule(id);
  // Sigma wants the list; where nothing is known it holds a word that says so.
  const told = (rule.data?.falsepositives ?? []).filter((text) => !/^(none|unknown|unlikely)\.?$/i.test(text));
  const response = pick(rule.data?.response_vi, rule.data?.response);
  return (
    <DrawerFrame label={t('rules.name')} test="rule-drawer">
      <Loaded query={rule} lines={12}>
        {(found) => (
          <>
            <header>
              <div className="row">
                <Severity level={found.level} /><span className="tag">{name('lifecycle', found.status ?? '')}</span><span className="grow" />
                <Button size="small" type="text" title={`${t('common.close')} (Esc)`} aria-label={t('common.close')} icon={<Icon name="close" size={16} />} onClick={close} />
              </div>
              <b style={{ fontSize: 15, lineHeight: '22px' }}><Outside text={pick(found.title_vi, found.title)} /></b>
            </header>
            <div className="scroll">
              <p style={{ whiteSpace: 'pre-wrap' }}><Lines text={pick(found.description_vi, found.description)} /></p>
              {response !== '' && <div className="section"><h2>{t('alert.response')}</h2><p className="response"><Lines text={response} /></p></div>}
              <dl className="facts">
                <dt>{t('admin.id')}</dt><dd className="mono"><Outside text={found.id} /></dd>
                <dt>{t('rules.source')}</dt><dd className="mono"><Outside text={logsource(found)} /></dd>
                <dt>{t('rules.file')}</dt><dd className="mono"><Outside text={found.file} /></dd>
                {found.author !== null && <><dt>{t('rules.author')}</dt><dd><Outside text={found.author} /></dd></>}
                {found.tags.length > 0 && <><dt>{t('rules.attack')}</dt><dd className="mono">{found.tags.map((tag) => <div key={tag}><Outside text={tag} /></div>)}</dd></>}
                {told.length > 0 && <><dt>{t('rules.falsePositives')}</dt><dd>{told.map((text) => <div key={text}><Outside text={text} /></div>)}</dd></>}
              </dl>
              <pre className="raw" tabIndex={0} style={{ maxHeight: 'none' }}><Lines text={found.source} /></pre>
            </div>
            <footer><Link to={`/alerts?${encode({ ...ANY, drill: 'include', rule: [found.id] })}`}>{t('rules.alerts')}</Link></footer>
          </>
        )}
      </Loaded>
    </DrawerFrame>
  );
}

function Rows({ rules, chosen, choose }: { rules: readonly Rule[]; chosen: string | null; choose: (id: string) => void }) {
  const { t, pick, name } = useWords();
  const scroll = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: rules.length, getScrollElement: () => scroll.current, estimateSize: () => ROW_PX, overscan: 12 });
  const at = rules.findIndex((rule) => rule.id === chosen);
  useEffect(() => {
    if (at >= 0) rows.scrollToIndex(at, { align: 'auto' });
    // Only the reader's own move scrolls.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [at]);
  return (
    <div role="grid" aria-rowcount={rules.length} aria-label={t('rules.title')} style={{ display: 'contents' }}>
    <div className="columns rule" role="row">
      <span role="columnheader">{t('rules.level')}</span><span role="columnheader">{t('rules.name')}</span><span role="columnheader">{t('rules.source')}</span><span role="columnheader">{t('rules.attack')}</span><span role="columnheader">{t('rules.status')}</span>
    </div>
    <div className="rows" ref={scroll}>
      <div style={{ height: rows.getTotalSize(), position: 'relative' }}>
        {rows.getVirtualItems().map((item) => {
          const rule = rules[item.index];
          if (rule === undefined) return null;
          return (
            <div key={rule.id} className={`alert rule ${rule.id === chosen ? 'current' : ''}`} style={{ transform: `translateY(${item.start}px)` }} onClick={() => choose(rule.id)} role="row">
              <span role="gridcell"><Severity level={rule.level} /></span>
              <span role="gridcell"><button type="button" className="plain cut" style={{ maxWidth: '100%' }} onClick={() => choose(rule.id)}><Cut text={pick(rule.title_vi, rule.title)} className="title" /></button></span>
              <span role="gridcell"><Cut text={logsource(rule)} mono className="soft" /></span>
              <span role="gridcell" className="mono faint cut">{techniques(rule.tags).slice(0, 2).join(' ')}</span>
              <span role="gridcell" className="soft">{name('lifecycle', rule.status ?? '')}</span>
            </div>
          );
        })}
      </div>
    </div>
    </div>
  );
}

export default function RulesPage() {
  const { t, number, pick } = useWords();
  const rules = useRules();
  const [parameters, setParameters] = useSearchParams();
  const [text, setText] = useState('');
  const chosen = parameters.get('id');
  const choose = (id: string | null) => setParameters(id === null ? {} : { id }, { replace: true });
  const [levels, setLevels] = useState<readonly Level[]>([]);
  const found = useMemo(() => worstFirst((rules.data ?? []).filter((rule) => matches(rule, text)), (rule) => pick(rule.title_vi, rule.title)), [rules.data, text, pick]);
  const shown = useMemo(() => found.filter((rule) => levels.length === 0 || levels.includes(rule.level)), [found, levels]);
  const move = (step: number) => {
    const at = shown.findIndex((rule) => rule.id === chosen);
    const next = shown[Math.min(Math.max(at + step, 0), shown.length - 1)];
    if (next !== undefined) choose(next.id);
  };
  useKeys({ j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), Escape: () => choose(null) });
  return (
    <div className="page fixed">
      <div className="queue">
        <div className="left">
          <div className="filters">
            <h1>{t('rules.title')}</h1>
            {LEVELS.map((level) => {
              const on = levels.includes(level);
              const count = found.filter((rule) => rule.level === level).length;
              return (
                <button key={level} type="button" className={`chip ${on ? 'on' : ''}`} aria-pressed={on} onClick={() => setLevels(on ? levels.filter((one) => one !== level) : [...levels, level])}>
                  <Severity level={level} /><span className="count">{number(count)}</span>
                </button>
              );
            })}
            <span className="grow" />
            <span className="soft">{t('rules.total', { n: shown.length })}</span>
            <Input data-search="page" size="small" allowClear value={text} onChange={(event) => setText(event.target.value)} placeholder={t('rules.search')} aria-label={t('rules.search')} style={{ width: 260 }} />
          </div>
          <Loaded query={rules} lines={14}>
            {() => (shown.length === 0 ? <Empty text={text === '' && levels.length === 0 ? t('rules.empty') : t('rules.emptyFiltered')} /> : <Rows rules={shown} chosen={chosen} choose={choose} />)}
          </Loaded>
        </div>
        {chosen !== null && <One id={chosen} close={() => choose(null)} />}
      </div>
    </div>
  );
}

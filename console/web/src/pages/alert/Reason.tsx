/** Why an alert exists: the sentence, the record with the matched fields marked, the rule folded, the record as received. */
import { Button, Collapse } from 'antd';
import { useState } from 'react';
import { Link } from 'react-router';

import { drillBeside } from '../../api/alerts';
import type { Alert, Why } from '../../api/types';
import { useWords } from '../../i18n';
import { clock } from '../../i18n/format';
import { Icon } from '../../look/icons';
import { Panel } from '../../look/Panel';
import { Lines, Outside, Rich } from '../../look/Text';
import { visible } from '../../look/visible';
import { around, huntLink } from '../hunt/query';
import { cited, matchedFields, matchedNames, parts, rows, text } from './record';

/** How many matched fields the sentence names before it says "and n more". */
const NAMED = 3;
const VALUE_SIGNS = 160;

/** A value is hunted for as long before and after the alert. */
const PIVOT_MS = 12 * 3_600_000;

function shorten(value: string): string {
  const signs = Array.from(value);
  return signs.length > VALUE_SIGNS ? `${signs.slice(0, VALUE_SIGNS).join('')}…` : value;
}

export function Sentence({ alert, why }: { alert: Alert; why: Why }) {
  const { t, pick, language } = useWords();
  const rule = <b><Outside text={pick(alert.title_vi, alert.title_en)} /></b>;
  const found = matchedFields(why);
  const more = found.length - NAMED;
  const fields = found.slice(0, NAMED).map((one, index) => (
    <span key={`${one.selection} ${one.field ?? ''} ${index}`}>
      {index > 0 && t('alert.and')}
      <Rich
        pattern={one.field === null ? t('alert.recordHolds') : t('alert.fieldIs')}
        parts={{ field: <code><Outside text={one.field ?? ''} /></code>, value: <code><Outside text={shorten(cited(one.value, one.field === null ? null : why.event?.[one.field], language))} /></code> }}
      />
    </span>
  ));
  const pattern = found.length === 0 ? t('alert.whyUnknown') : more > 0 ? t('alert.whySentenceMore', { n: more }) : t('alert.whySentence');
  return (
    <div className="section" data-test="why">
      <p className="why"><Rich pattern={pattern} parts={{ rule, fields }} /></p>
      {alert.count > 1 && (
        <p className="soft">{t('alert.grouped', { n: alert.count, from: clock(alert.first_seen), to: clock(alert.last_seen) })}</p>
      )}
      {why.event === null && <p className="soft">{why.store_available ? t('alert.whyGone') : t('alert.noStore')}</p>}
    </div>
  );
}

export function Record({ why }: { why: Why }) {
  const { t } = useWords();
  const [whole, setWhole] = useState(false);
  const { event } = why;
  if (event === null) return null;
  const range = around(why.alert.first_seen, why.alert.last_seen, PIVOT_MS);
  const all = rows(event, matchedNames(why));
  const shown = whole ? all : all.filter((row) => row.main);
  return (
    <div className="section">
      <h2>{t('alert.recordFields')}</h2>
      <table className="record">
        <tbody>
          {shown.map((row) => (
            <tr key={row.name} className={row.matched ? 'matched hot' : 'hot'}>
              <td><Outside text={row.name} />{row.matched && <span className="tag" style={{ marginLeft: 6 }}>{t('alert.matched')}</span>}</td>
              <td>
                {parts(event[row.name]).map((value, index) => (
                  <div key={index} className="value-line">
                    <span className="grow"><Outside text={value} /></span>
                    <Link className="act" to={huntLink({ drill: drillBeside(why.alert.drill), range, filters: [{ field: row.name, operator: 'is', value }] })} aria-label={t('hunt.pivot', { field: row.name, value: visible(value).slice(0, 80) })} title={t('hunt.pivot', { field: row.name, value: visible(value).slice(0, 80) })}><Icon name="hunt" size={14} /></Link>
                  </div>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {shown.length < all.length || whole ? (
        <Button size="small" type="text" style={{ alignSelf: 'flex-start' }} onClick={() => setWhole(!whole)}>
          {whole ? t('alert.showFewer') : t('alert.showAll', { n: all.length })}
        </Button>
      ) : null}
    </div>
  );
}

/** What the rule's author advises to do; nothing where the rule does not say. */
export function Response({ why, panel = false }: { why: Why; panel?: boolean }) {
  const { t, pick } = useWords();
  const words = pick(why.rule?.response_vi, why.rule?.response);
  if (words === '') return null;
  const advice = <p className="response" data-test="response"><Lines text={words} /></p>;
  if (panel) return <Panel title={t('alert.response')}>{advice}</Panel>;
  return <div className="section"><h2>{t('alert.response')}</h2>{advice}</div>;
}

export function RuleFold({ alert, why }: { alert: Alert; why: Why }) {
  const { t, pick } = useWords();
  const { rule } = why;
  return (
    <div className="section">
      <h2>{t('alert.rule')}</h2>
      <p className="row wrap"><Link to={`/rules?id=${encodeURIComponent(alert.rule_id)}`}><Outside text={pick(alert.title_vi, alert.title_en)} /></Link></p>
      {rule !== null && <p className="soft" style={{ whiteSpace: 'pre-wrap' }}><Lines text={pick(rule.description_vi, rule.description)} /></p>}
      {rule !== null && rule.source !== '' && (
        <Collapse
          size="small"
          items={[{ key: 'rule', label: t('alert.condition'), children: <pre className="raw" tabIndex={0}><Lines text={rule.source} /></pre> }]}
        />
      )}
    </div>
  );
}

/** The record as received; `panel` puts it on a surface of its own. */
export function Raw({ why, panel = false }: { why: Why; panel?: boolean }) {
  const { t } = useWords();
  const original = text(why.event?.['event.original']);
  if (original === '') return null;
  const record = <pre className="raw" tabIndex={0}><Lines text={original} /></pre>;
  if (panel) return <Panel title={t('alert.raw')}>{record}</Panel>;
  return <div className="section"><h2>{t('alert.raw')}</h2>{record}</div>;
}

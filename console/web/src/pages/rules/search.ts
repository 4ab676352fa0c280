/** Finding a rule by its words, with or without diacritics. */
import { LEVELS, type Rule } from '../../api/types';

/** Lower case without diacritics, `đ` as `d`: "su co" finds "sự cố". */
export function fold(text: string): string {
  return text.toLowerCase().normalize('NFD').replace(/\p{M}/gu, '').replaceAll('đ', 'd');
}

/** Whether every word of `text` occurs somewhere in the rule's titles, tags, log source or id. */
export function matches(rule: Pick<Rule, 'id' | 'title' | 'title_vi' | 'tags' | 'logsource'>, text: string): boolean {
  const words = fold(text).split(/\s+/).filter((word) => word !== '');
  if (words.length === 0) return true;
  const hay = fold([rule.id, rule.title_vi ?? '', rule.title, logsource(rule), ...rule.tags].join(' '));
  return words.every((word) => hay.includes(word));
}

/** Where a rule looks, as one text: `windows process_creation`. */
export function logsource(rule: Pick<Rule, 'logsource'>): string {
  const { product, category, service } = rule.logsource;
  return [product, category, service].filter((part) => part !== null).join(' ');
}

/** The rules by level, the worst first, then by the name that is shown. */
export function worstFirst(rules: readonly Rule[], named: (rule: Rule) => string): Rule[] {
  const order = new Intl.Collator('vi');
  return [...rules].sort((one, other) => LEVELS.indexOf(one.level) - LEVELS.indexOf(other.level) || order.compare(named(one), named(other)));
}

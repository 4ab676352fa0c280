/** Proposals for a new incident; the person decides. */
import { LEVELS, type Alert, type Category, type Level } from '../../api/types';
import { visible } from '../../look/visible';
import { entityText } from '../alert/record';

/** As many signs as the title of an incident may have. */
const TITLE_SIGNS = 200;

/** What an incident from an alert is called at first: the alert's words and its entity, as the queue writes it. */
export function incidentTitle(words: string, alert: Parameters<typeof entityText>[0]): string {
  return `${visible(words)}: ${visible(entityText(alert))}`.slice(0, TITLE_SIGNS);
}

/** Typical techniques of the national incident classes, the more specific first. */
const BY_TECHNIQUE: readonly [RegExp, string][] = [
  [/^t1486/, 'TT'], [/^t149[89]/, 'DD'], [/^t1491/, 'DF'], [/^t1485/, 'PH'], [/^t1566/, 'LD'], [/^t1110/, 'BF'], [/^t1195/, 'CU'],
  [/^(t1040|t1557)/, 'NT'], [/^(ta0010|t1041|t1048|t1567|exfiltration)/, 'LL'], [/^(t1190|t1078|t1505|t1003|t1021)/, 'XN'],
  [/^(t1071|t1568|t1572)/, 'BN'], [/^(ta0002|t1204|t1059)/, 'MD'], [/^(t1595|t1046|t1018)/, 'DQ'],
];

const TECHNIQUE = /^(?:attack\.)?(.+)$/;

/** The class that the techniques of the alerts point to, `KH` (other) when none does. */
export function incidentClass(alerts: readonly Pick<Alert, 'tags'>[]): string {
  const tags = alerts.flatMap((alert) => alert.tags).map((tag) => TECHNIQUE.exec(tag.toLowerCase())?.[1] ?? '');
  return BY_TECHNIQUE.find(([pattern]) => tags.some((tag) => pattern.test(tag)))?.[1] ?? 'KH';
}

/** The worst level among the alerts; an incident is at least low. */
export function worst(alerts: readonly Pick<Alert, 'level'>[]): Level {
  const found = LEVELS.find((level) => alerts.some((alert) => alert.level === level)) ?? 'low';
  return found === 'informational' ? 'low' : found;
}

/** When in doubt the stricter clocks: a critical alert proposes the serious category. */
export function legalCategory(level: Level): Category {
  return level === 'critical' ? 'nghiem_trong' : 'thuong';
}

/** The technique numbers among Sigma tags, as people write them: `T1071.004`. */
export function techniques(tags: readonly string[]): string[] {
  const found = tags.map((tag) => /^(?:attack\.)?(ta?\d{4}(?:\.\d{3})?)$/i.exec(tag)?.[1]?.toUpperCase()).filter((tag) => tag !== undefined);
  return [...new Set(found)];
}

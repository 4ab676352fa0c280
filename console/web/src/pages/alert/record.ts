/** An event as rows: what matched first, then what people look at first, then the rest by name. */
import type { Fields } from '../../api/types';

export interface RecordRow {
  name: string;
  value: string;
  matched: boolean;
  /** Among the fields that are shown before "show all". */
  main: boolean;
}

/** Beginnings of the names that say what happened, in the order in which an analyst asks. */
const MAIN = [
  '@timestamp', 'event.dataset', 'event.action', 'event.outcome', 'event.code', 'host.name', 'user.name', 'source.ip', 'source.port', 'destination.ip',
  'destination.port', 'network.protocol', 'network.community_id', 'dns.question', 'dns.response', 'url.', 'http.', 'tls.', 'user_agent', 'process.name',
  'process.command_line', 'process.parent', 'file.', 'registry.', 'message', 'observer.name', 'organization.id',
];

function place(name: string): number {
  const found = MAIN.findIndex((beginning) => name.startsWith(beginning));
  return found === -1 ? MAIN.length : found;
}

/** A value as one text; lists by commas, objects as JSON. */
export function text(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(text).join(', ');
  return value === undefined ? '' : JSON.stringify(value);
}

export function rows(event: Fields, matched: readonly string[]): RecordRow[] {
  return Object.entries(event)
    .filter(([name]) => name !== 'event.original')
    .map(([name, value]) => {
      const hit = matched.includes(name);
      return { name, value: text(value), matched: hit, main: hit || place(name) < MAIN.length };
    })
    .sort((one, other) => Number(other.matched) - Number(one.matched) || place(one.name) - place(other.name) || one.name.localeCompare(other.name));
}

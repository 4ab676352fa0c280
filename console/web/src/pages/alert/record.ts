/** An event as rows: what matched first, then what people look at first, then the rest by name. */
import type { Alert, Fields, MatchedField, Why } from '../../api/types';
import { number } from '../../i18n/format';
import type { Language } from '../../i18n/translate';

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
  'process.command_line', 'process.parent', 'file.', 'registry.', 'winlog.event_data.', 'message', 'observer.name', 'organization.id',
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

/** Under this name a list says which values of an event it shortened; it is no field of the event. */
const SHORTENED = 'truncated';

/** The fields whose values a list shortened: the event itself, asked for by its id, has them whole. */
export function shortened(event: Fields): string[] {
  const names = event[SHORTENED];
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : [];
}

/** The names of an event's fields, without the record as received. */
export function fieldNames(event: Fields): string[] {
  return Object.keys(event).filter((name) => name !== 'event.original' && name !== SHORTENED);
}

/** The parts of a value: each element of a list can be asked for alone. */
export function parts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(text) : [text(value)];
}

export function rows(event: Fields, matched: readonly string[]): RecordRow[] {
  return fieldNames(event)
    .map((name) => {
      const hit = matched.includes(name);
      return { name, value: text(event[name]), matched: hit, main: hit || place(name) < MAIN.length };
    })
    .sort((one, other) => Number(other.matched) - Number(one.matched) || place(one.name) - place(other.name) || one.name.localeCompare(other.name));
}

/** What matched in the event that the alert shows: that of its own signal, or of the first. */
export function matchedFields(why: Pick<Why, 'alert' | 'signals'>): MatchedField[] {
  const own = why.signals.find((signal) => signal.event_id === why.alert.event_id) ?? why.signals[0];
  return own?.fields ?? [];
}

/** The names among them, for marking the record. */
export function matchedNames(why: Pick<Why, 'alert' | 'signals'>): string[] {
  return matchedFields(why).map(({ field }) => field).filter((field) => field !== null);
}

const FRACTION = /^-?\d+\.\d+$/;

/** A matched value as the sentence cites it: of a fraction three places, in the language's way; `held` is what the event has there. */
export function cited(value: string, held: unknown, language: Language): string {
  // Without the event only so many places tell a computed number from a version.
  const fraction = FRACTION.test(value) && (typeof held === 'number' || (held === undefined && /\.\d{7,}$/.test(value)));
  return fraction ? number(Number(value), language, 3) : value;
}

/** One line about an event: what an analyst reads first, by what it has. */
export function summary(event: Fields): string {
  const of = (name: string) => text(event[name]);
  const join = (parts: readonly string[]) => parts.filter((part) => part !== '').join(' ');
  const road = event['source.ip'] === undefined && event['destination.ip'] === undefined
    ? ''
    : `${of('source.ip')} → ${of('destination.ip')}${event['destination.port'] === undefined ? '' : `:${of('destination.port')}`}`;
  const deed = of('process.command_line') || of('dns.question.name') || join([of('http.request.method'), of('url.original') || of('url.path')])
    || of('tls.client.server_name') || of('message') || join([of('event.action'), of('event.code'), of('process.name'), of('file.path')]) || of('event.original');
  return join([road, of('user.name'), deed]).slice(0, 400);
}

/** When an event happened, in milliseconds; 0 when it does not say. */
export function eventTime(event: Fields): number {
  const at = Date.parse(text(event['@timestamp']));
  return Number.isNaN(at) ? 0 : at;
}

/** An entity as people name it: its parts side by side, a silent source by the name of its node instead of its id. */
export function entityText({ entity_type, entity_value, node }: Pick<Alert, 'entity_type' | 'entity_value' | 'node'>): string {
  if (entity_type === 'dongson.health.source' && node !== null && node !== '') return node;
  return entityParts(entity_type, entity_value).map((part) => part.value).join(' · ');
}

/** The parts of an entity: kind `host.name+user.name` and value `web01|an` are a host and a user. */
export function entityParts(kind: string, value: string): { kind: string; value: string }[] {
  const kinds = kind.split('+');
  const values = value.split('|');
  if (kinds.length === 1 || kinds.length !== values.length) return [{ kind, value }];
  return kinds.map((one, index) => ({ kind: one, value: values[index] ?? '' }));
}

/** A log source as its form shows it and as the console takes it. */
import type { Source } from '../../api/types';

/** Of silences and corrections of clocks: 366 days, as the console takes them. */
export const MOST_SECONDS = 366 * 86_400;

export interface Fields {
  organization: string;
  name: string;
  kind: string;
  address?: string;
  listener?: string | null;
  certificate?: string;
  api_key?: string | null;
  parser?: string | null;
  time_zone: string;
  silence_after_seconds?: number | null;
  expected_per_hour?: number | null;
  clock_offset_ms?: number | null;
  owner?: string;
}

/** What was not filled is absent for the console, not an empty text. */
const filled = (text: string | null | undefined) => (text === undefined || text === null || text.trim() === '' ? null : text.trim());

export function body(fields: Fields) {
  return {
    organization: fields.organization, name: fields.name.trim(), kind: fields.kind,
    address: filled(fields.address), listener: filled(fields.listener), certificate: filled(fields.certificate), api_key: filled(fields.api_key),
    parser: filled(fields.parser), time_zone: fields.time_zone,
    clock_offset_ms: fields.clock_offset_ms ?? 0, expected_per_hour: fields.expected_per_hour ?? null,
    silence_after_seconds: fields.silence_after_seconds ?? null,
    owner: filled(fields.owner),
  };
}

export function initial(source: Source | null): Partial<Fields> {
  if (source === null) return { kind: 'syslog', time_zone: 'Asia/Ho_Chi_Minh', silence_after_seconds: 3600, clock_offset_ms: 0 };
  return {
    organization: source.organization, name: source.name, kind: source.kind, address: source.address ?? '', listener: source.listener, certificate: source.certificate ?? '',
    api_key: source.api_key, parser: source.parser, time_zone: source.time_zone,
    clock_offset_ms: source.clock_offset_ms, expected_per_hour: source.expected_per_hour, owner: source.owner ?? '',
    silence_after_seconds: source.silence_after_seconds,
  };
}

/**
 * The shapes of the console's API (`/api/v1`, described by `/api/v1/openapi.json`), as far as the page uses them.
 * Times are milliseconds since 1970 UTC; texts may come from an attacker and are only ever shown through `Outside`.
 */

export type Level = 'critical' | 'high' | 'medium' | 'low' | 'informational';
export const LEVELS: readonly Level[] = ['critical', 'high', 'medium', 'low', 'informational'];

export type AlertState = 'new' | 'acknowledged' | 'in_progress' | 'closed';
export const ALERT_STATES: readonly AlertState[] = ['new', 'acknowledged', 'in_progress', 'closed'];

export type Role = 'administrator' | 'analyst' | 'agency_viewer';
export const ROLES: readonly Role[] = ['administrator', 'analyst', 'agency_viewer'];

export type IncidentStatus = 'open' | 'in_progress' | 'contained' | 'resolved' | 'closed';
export const INCIDENT_STATUSES: readonly IncidentStatus[] = ['open', 'in_progress', 'contained', 'resolved', 'closed'];

/** The legal category drives the clocks: 72 h; 24 h and 72 h; at once and 72 h. */
export type Category = 'thuong' | 'nghiem_trong' | 'anqg_hoac_gian_doan_nghiem_trong';
export const CATEGORIES: readonly Category[] = ['thuong', 'nghiem_trong', 'anqg_hoac_gian_doan_nghiem_trong'];

export const CLASSES = ['MD', 'TT', 'BN', 'XN', 'DQ', 'BF', 'DD', 'DF', 'LD', 'LL', 'PH', 'NT', 'CU', 'NB', 'LH', 'KT', 'KH'] as const;

export const VERDICTS = ['true_positive', 'false_positive', 'benign', 'duplicate'] as const;

export interface Me {
  id: string;
  login: string;
  full_name: string;
  role: Role;
  /** Agencies the person sees; null is all of them. */
  organizations: string[] | null;
  must_change_password: boolean;
  language: string;
}

export interface Organization {
  id: string;
  name: string;
  name_en: string;
  parent: string | null;
  level: number;
  version: number;
}

export interface Alert {
  id: string;
  organization: string;
  node: string | null;
  rule_id: string;
  title_vi: string;
  title_en: string;
  level: Level;
  entity_type: string;
  entity_value: string;
  first_seen: number;
  last_seen: number;
  count: number;
  risk: number;
  tags: string[];
  drill: boolean;
  state: AlertState;
  owner: string | null;
  verdict: string | null;
  reason: string | null;
  incident: string | null;
  created_at: number;
  event_id: string;
  version: number;
}

/** A page of the queue; `next` asks for the page after it. */
export interface AlertList {
  alerts: Alert[];
  total: number;
  /** How many alerts of drills the same question would find; what `exclude` leaves out. */
  drills: number;
  next: string | null;
  facets: Facets | null;
}

/** How many alerts each value of a filter would leave. */
export type Facets = Record<'state' | 'level' | 'organization' | 'rule' | 'owner', { value: string; count: number }[]>;

/** A flat event: ECS dotted names to values. */
export type Fields = Record<string, unknown>;

export interface Rule {
  id: string;
  /** English title and description; the Vietnamese ones where the rule has them. */
  title: string;
  title_vi: string | null;
  description: string | null;
  description_vi: string | null;
  /** What to do about a match. */
  response: string | null;
  response_vi: string | null;
  level: Level;
  status: string | null;
  author: string | null;
  tags: string[];
  logsource: { product: string | null; category: string | null; service: string | null };
  falsepositives: string[];
  file: string;
  /** Its text (YAML); empty in the list. */
  source: string;
}

/** A field of an event that a rule matched; without a name for a keyword that matched the whole record. */
export interface MatchedField {
  field: string | null;
  value: string;
  selection: string;
}

/** Why an alert exists. */
export interface Why {
  alert: Alert;
  rule: Rule | null;
  /** Whether the event store answered; if not, `event` and `signals` are empty. */
  store_available: boolean;
  /** The event of the first match. */
  event: Fields | null;
  signals: { event_id: string; at: number; rule_id: string; fields: MatchedField[] }[];
  related: Alert[];
  exceptions: Exception[];
}

/** A page of a search, newest first. */
export interface EventList {
  events: Fields[];
  next: string | null;
}

/** How many events in each span of the asked time; empty spans are left out. */
export interface EventHistogram {
  since: number;
  until: number;
  step_ms: number;
  buckets: { at: number; count: number }[];
}

export interface TopValue {
  value: string;
  count: number;
  /** Whether all events were counted, not only those of the sample. */
  exact: boolean;
}

/** A field of events: its name, its unit (or empty), what it means. */
export interface FieldName {
  name: string;
  unit: string;
  meaning_vi: string;
  meaning_en: string;
}

export interface EventsAround {
  events: Fields[];
  /** There were more. */
  cut: boolean;
}

export interface Exception {
  id: string;
  organization: string | null;
  rule_id: string | null;
  entity_type: string | null;
  entity_value: string | null;
  reason: string;
  owner: string;
  created_at: number;
  expires_at: number;
  ended_at: number | null;
  hits: number;
  version: number;
}

/** One legal clock of an incident. */
export interface Deadline {
  kind: 'first_notice' | 'report';
  from: number;
  due: number;
  /** When the notice or report was sent; null: not yet. */
  met_at: number | null;
  /** The article that it comes from. */
  source: string;
}

export interface Incident {
  id: string;
  number: string;
  organization: string | null;
  title: string;
  class: string;
  severity: Level;
  legal_category: Category;
  status: IncidentStatus;
  owner: string | null;
  detected_at: number;
  first_notice_at: number | null;
  report_at: number | null;
  closed_at: number | null;
  verdict: string | null;
  cause: string | null;
  lesson: string | null;
  drill: boolean;
  deadlines: Deadline[];
  version: number;
}

export interface Entry {
  sequence: number;
  at: number;
  who: string;
  kind: string;
  text: string;
  hash: string;
  data: Record<string, unknown> | null;
}

export interface Sensor {
  /** A drill enrolled it. */
  drill: boolean;
  id: string;
  organization: string;
  node: string;
  not_after: number;
  enrolled_at: number;
  revoked_at: number | null;
  last_seen: number | null;
  silent_since: number | null;
  /** How long it may say nothing before it counts as silent. */
  quiet_after_seconds: number;
  /** Whom to call when it is silent. */
  owner: string | null;
  /** SHA-256 of its certificate, hexadecimal. */
  fingerprint: string;
  health: Record<string, unknown> | null;
  online: boolean;
  /** How it stands to what the centre wants of it; versions from 1, 0 where nothing is wanted. */
  configuration: { wanted: number; applied: number | null; trial: boolean; why_not: string | null };
  version: number;
  /** What came of what it sent; null when it has stated nothing. */
  account: SpoolSummary | null;
}

/** How many batches a sensor made, and what came of them. */
export interface SpoolSummary {
  assigned: number;
  received: number;
  held: number;
  gone: number;
  gone_events: Record<string, number>;
  unaccounted: number;
}

/** A new token, and what its engineer does with it. */
export interface TokenMade {
  token: { id: string; organization: string; node: string; expires_at: number };
  /** Where the sensor can reach the collector, best first. */
  collector_urls: string[];
  /** By which the sensor knows the collector. */
  authority_fingerprint: string;
  enrol_command: string;
  run_command: string;
}

/** A name to show; `assignable` may be given work. */
export interface PersonName {
  id: string;
  login: string;
  full_name: string;
  role: Role;
  assignable: boolean;
}

export interface ApiKey {
  id: string;
  organization: string;
  source_name: string;
  drill: boolean;
  created_at: number;
  created_by: string;
  revoked_at: number | null;
  last_used_at: number | null;
}

/** A system of the inventory. */
export interface Asset {
  id: string;
  organization: string;
  name: string;
  address: string | null;
  host: string | null;
  level: number;
  owner: string | null;
}

/** Beside the sources: the names that one may give. */
export interface SourceChoices {
  parsers: string[];
  listeners: string[];
}

export interface Source {
  id: string;
  organization: string;
  name: string;
  kind: string;
  address: string | null;
  listener: string | null;
  certificate: string | null;
  api_key: string | null;
  parser: string | null;
  time_zone: string;
  clock_offset_ms: number;
  expected_per_hour: number | null;
  silence_after_seconds: number | null;
  owner: string | null;
  last_seen: number | null;
  silent_since: number | null;
  events: number;
  unparsed: number;
  version: number;
}

export interface Account {
  id: string;
  login: string;
  full_name: string;
  role: Role;
  organizations: string[] | null;
  must_change_password: boolean;
  locked_until: number | null;
  disabled: boolean;
  last_sign_in_at: number | null;
  version: number;
}

export interface Channel {
  id: string;
  organization: string | null;
  name: string;
  kind: 'smtp' | 'webhook';
  settings: Record<string, unknown>;
  min_level: Level;
  enabled: boolean;
  version: number;
}

export interface AuditRecord {
  sequence: number;
  at: number;
  who: string;
  address: string | null;
  action: string;
  kind: string;
  object: string;
  organization: string | null;
  /** Names where the console knows them; of a service its Vietnamese one. English ones where there are such. */
  actor_name: string;
  object_name: string | null;
  object_name_en: string | null;
  organization_name: string | null;
  organization_name_en: string | null;
}

/** A number of the overview (null: the event store does not answer) with that of the same hours of last week (null: none yet). */
export interface Figure {
  value: number | null;
  before: number | null;
}

/** An agency's or rule's part of the alerts. */
export interface Share {
  id: string;
  name: string;
  name_en: string;
  alerts: number;
  open: number;
  severe: number;
  risk: number;
}

export interface Overview {
  since: number;
  until: number;
  figures: Record<'events' | 'alerts' | 'severe' | 'open_alerts' | 'open_incidents' | 'sensors_online', Figure>;
  /** How many of the sensors the figures cover. */
  coverage: { online: number; total: number };
  store_available: boolean;
  /** Spans without any are left out. */
  series: { step_ms: number; events: { at: number; count: number }[]; alerts: { at: number; level: Level; count: number }[] };
  organizations: Share[];
  rules: Share[];
  newest: Alert[];
  incidents: { incident: Omit<Incident, 'deadlines'>; deadline: Deadline | null }[];
}

/** The figures of the status line, from the stream. */
export interface StatusFigures {
  events_last_minute: number | null;
  sensors_online: number;
  sensors_total: number;
  open_alerts: number;
  version: string;
}

export const PACKET_STATES = ['asked', 'declined', 'approved', 'sent', 'answered', 'refused', 'expired'] as const;
export type PacketState = (typeof PACKET_STATES)[number];

/** Packets that were asked of a sensor: by one person, approved by another. */
export interface PacketOrder {
  id: string;
  organization: string;
  sensor: string;
  incident: string | null;
  reason: string;
  since: number;
  until: number;
  community_id: string | null;
  filter: string | null;
  max_bytes: number;
  state: PacketState;
  asked_by: string;
  asked_at: number;
  decided_by: string | null;
  words: string | null;
  expires_at: number | null;
  received_bytes: number;
  /** What the sensor says of its answer: `sha256`, `frames`, and what is missing. */
  account: Record<string, unknown> | null;
  ended_at: number | null;
  discarded_at: number | null;
}

/** What is wanted of the sensors of a target: `all`, `organization:ID` or `sensor:ID`. */
export interface Desired {
  target: string;
  version: number;
  configuration: Record<string, unknown>;
  set_at: number;
  set_by: string;
}

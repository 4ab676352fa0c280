-- The first schema. Types are TEXT, BIGINT and BLOB only, so that PostgreSQL can take the same text later.
-- Ids are UUIDv7 text, times are BIGINT milliseconds since 1970 UTC, flags are BIGINT 0 or 1, lists and objects are JSON text.

CREATE TABLE organization (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    name_en TEXT NOT NULL,
    parent TEXT REFERENCES organization (id),
    level BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE enrolment_token (
    id TEXT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    organization TEXT NOT NULL REFERENCES organization (id),
    node TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    revoked_at BIGINT,
    sensor TEXT
);
CREATE INDEX enrolment_token_organization ON enrolment_token (organization, created_at);

CREATE TABLE sensor (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organization (id),
    node TEXT NOT NULL,
    serial TEXT NOT NULL UNIQUE,
    fingerprint TEXT NOT NULL UNIQUE,
    not_after BIGINT NOT NULL,
    enrolled_at BIGINT NOT NULL,
    revoked_at BIGINT,
    last_seen BIGINT,
    silence_after_seconds BIGINT NOT NULL,
    silent_since BIGINT,
    health TEXT,
    version BIGINT NOT NULL
);
CREATE INDEX sensor_organization ON sensor (organization, node);

-- A sensor that lost the answer to a renewal goes on with its old certificate, so several may be valid at once.
CREATE TABLE sensor_certificate (
    fingerprint TEXT NOT NULL PRIMARY KEY,
    sensor TEXT NOT NULL REFERENCES sensor (id),
    serial TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    not_after BIGINT NOT NULL
);
CREATE INDEX sensor_certificate_sensor ON sensor_certificate (sensor);

CREATE TABLE api_key (
    id TEXT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    organization TEXT NOT NULL REFERENCES organization (id),
    source_name TEXT NOT NULL,
    drill BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    revoked_at BIGINT,
    last_used_at BIGINT
);
CREATE INDEX api_key_organization ON api_key (organization, created_at);

CREATE TABLE source (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organization (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    address TEXT,
    listener TEXT,
    certificate TEXT,
    api_key TEXT REFERENCES api_key (id),
    parser TEXT,
    time_zone TEXT NOT NULL,
    clock_offset_ms BIGINT NOT NULL,
    expected_per_hour BIGINT,
    silence_after_seconds BIGINT,
    owner TEXT,
    last_seen BIGINT,
    silent_since BIGINT,
    events BIGINT NOT NULL,
    unparsed BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    UNIQUE (organization, name)
);

CREATE TABLE drill_session (
    id TEXT NOT NULL PRIMARY KEY,
    nonce_hash TEXT NOT NULL UNIQUE,
    principal TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT
);

CREATE TABLE counter (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);

CREATE TABLE consumer_offset (
    consumer TEXT NOT NULL,
    topic TEXT NOT NULL,
    part BIGINT NOT NULL,
    next_offset BIGINT NOT NULL,
    state BLOB,
    PRIMARY KEY (consumer, topic, part)
);

CREATE TABLE incident (
    id TEXT NOT NULL PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    agency_number TEXT UNIQUE,
    organization TEXT REFERENCES organization (id),
    title TEXT NOT NULL,
    class TEXT NOT NULL,
    severity TEXT NOT NULL,
    legal_category TEXT NOT NULL,
    status TEXT NOT NULL,
    owner TEXT,
    detected_at BIGINT NOT NULL,
    first_notice_at BIGINT,
    report_at BIGINT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    closed_at BIGINT,
    verdict TEXT,
    cause TEXT,
    lesson TEXT,
    drill BIGINT NOT NULL,
    search TEXT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX incident_status ON incident (status, detected_at);
CREATE INDEX incident_organization ON incident (organization, detected_at);

CREATE TABLE incident_entry (
    incident TEXT NOT NULL REFERENCES incident (id),
    sequence BIGINT NOT NULL,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    data TEXT,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (incident, sequence)
);

CREATE TABLE alert (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    node TEXT,
    rule_id TEXT NOT NULL,
    rule_version TEXT NOT NULL,
    title_vi TEXT NOT NULL,
    title_en TEXT NOT NULL,
    level TEXT NOT NULL,
    level_rank BIGINT NOT NULL,
    entity_type TEXT NOT NULL,
    entity_value TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    count BIGINT NOT NULL,
    risk BIGINT NOT NULL,
    tags TEXT NOT NULL,
    drill BIGINT NOT NULL,
    state TEXT NOT NULL,
    owner TEXT,
    verdict TEXT,
    reason TEXT,
    incident TEXT REFERENCES incident (id),
    created_at BIGINT NOT NULL,
    triaged_at BIGINT,
    closed_at BIGINT,
    search TEXT NOT NULL,
    version BIGINT NOT NULL,
    change BIGINT NOT NULL
);
CREATE INDEX alert_change ON alert (change);
CREATE INDEX alert_queue ON alert (state, last_seen);
CREATE INDEX alert_organization ON alert (organization, last_seen);
CREATE INDEX alert_first_seen ON alert (first_seen);
CREATE INDEX alert_rule ON alert (rule_id, last_seen);
CREATE INDEX alert_entity ON alert (organization, entity_value, last_seen);
CREATE INDEX alert_incident ON alert (incident);

CREATE TABLE triage_undo (
    hash TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    alerts TEXT NOT NULL
);

CREATE TABLE exception (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT REFERENCES organization (id),
    rule_id TEXT,
    entity_type TEXT,
    entity_value TEXT,
    reason TEXT NOT NULL,
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    hits BIGINT NOT NULL,
    last_hit_at BIGINT,
    version BIGINT NOT NULL
);
CREATE INDEX exception_expiry ON exception (expires_at);

CREATE TABLE notification_channel (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT REFERENCES organization (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    settings TEXT NOT NULL,
    min_level TEXT NOT NULL,
    min_rank BIGINT NOT NULL,
    enabled BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE notification_delivery (
    id TEXT NOT NULL PRIMARY KEY,
    channel TEXT NOT NULL REFERENCES notification_channel (id) ON DELETE CASCADE,
    alert TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    delivered_at BIGINT,
    failed_at BIGINT,
    detail TEXT,
    UNIQUE (channel, alert)
);
CREATE INDEX notification_delivery_due ON notification_delivery (delivered_at, failed_at, due_at);

CREATE TABLE asset (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organization (id),
    name TEXT NOT NULL,
    address TEXT,
    host TEXT,
    level BIGINT NOT NULL,
    owner TEXT,
    version BIGINT NOT NULL,
    UNIQUE (organization, name)
);

CREATE TABLE account (
    id TEXT NOT NULL PRIMARY KEY,
    login TEXT NOT NULL UNIQUE,
    full_name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    organizations TEXT,
    language TEXT NOT NULL,
    must_change_password BIGINT NOT NULL,
    failed_attempts BIGINT NOT NULL,
    locked_until BIGINT,
    disabled BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    password_changed_at BIGINT NOT NULL,
    last_sign_in_at BIGINT,
    version BIGINT NOT NULL
);

CREATE TABLE account_session (
    hash TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    address TEXT
);
CREATE INDEX account_session_account ON account_session (account);

CREATE TABLE audit (
    sequence BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    address TEXT,
    action TEXT NOT NULL,
    kind TEXT NOT NULL,
    object TEXT NOT NULL,
    organization TEXT,
    before TEXT,
    after TEXT,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX audit_object ON audit (kind, object);

CREATE TABLE setting (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

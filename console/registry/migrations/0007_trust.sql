-- What sensors are told: root documents, the key that the console signs with, desired state, requests and packs. Every
-- row that a sensor may see is a signed envelope, kept as it is transported.

CREATE TABLE trust_root (
    version BIGINT NOT NULL PRIMARY KEY,
    envelope TEXT NOT NULL,
    published_at BIGINT NOT NULL,
    published_by TEXT NOT NULL
);

CREATE TABLE signing_key (
    id TEXT NOT NULL PRIMARY KEY,
    seed TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);

CREATE TABLE desired (
    target TEXT NOT NULL PRIMARY KEY,
    organization TEXT REFERENCES organization (id),
    version BIGINT NOT NULL,
    configuration TEXT NOT NULL,
    envelope TEXT NOT NULL,
    set_at BIGINT NOT NULL,
    set_by TEXT NOT NULL
);

CREATE TABLE sensor_request (
    id TEXT NOT NULL PRIMARY KEY,
    sensor TEXT NOT NULL REFERENCES sensor (id),
    envelope TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    closed_at BIGINT
);
CREATE INDEX sensor_request_sensor ON sensor_request (sensor, created_at);

CREATE TABLE pack (
    name TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    target TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    envelope TEXT NOT NULL,
    published_at BIGINT NOT NULL,
    published_by TEXT NOT NULL
);

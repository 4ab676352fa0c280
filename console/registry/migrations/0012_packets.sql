-- Packets of sensors that people asked for: who, who approved, what became of it, and the packets themselves in parts.

CREATE TABLE packet_order (
    id TEXT NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organization (id),
    sensor TEXT NOT NULL REFERENCES sensor (id),
    incident TEXT NOT NULL REFERENCES incident (id),
    reason TEXT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT NOT NULL,
    community_id TEXT,
    filter TEXT,
    max_bytes BIGINT NOT NULL,
    state TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    decided_by TEXT,
    decided_at BIGINT,
    words TEXT,
    offer TEXT REFERENCES sensor_request (id),
    expires_at BIGINT,
    received_bytes BIGINT NOT NULL DEFAULT 0,
    account TEXT,
    ended_at BIGINT,
    discarded_at BIGINT
);
CREATE INDEX packet_order_incident ON packet_order (incident, id);
CREATE INDEX packet_order_sensor ON packet_order (sensor, id);

CREATE TABLE packet_part (
    packet_order TEXT NOT NULL REFERENCES packet_order (id),
    start BIGINT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (packet_order, start)
);

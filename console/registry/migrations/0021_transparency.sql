-- The transparency log: entries as they were written, the tree over them in tiles of 256 hashes (level 0: the entries'), the
-- signed heads, and the log's own key.

CREATE TABLE transparency_entry (
    leaf BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (kind, name)
);

CREATE TABLE transparency_tile (
    level BIGINT NOT NULL,
    number BIGINT NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (level, number)
);

CREATE TABLE transparency_head (
    size BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    note TEXT NOT NULL
);

CREATE TABLE transparency_key (
    id TEXT NOT NULL PRIMARY KEY,
    seed TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- One row, made with the first entry: whoever appends holds it until the end of the transaction.
CREATE TABLE transparency_state (
    id BIGINT NOT NULL PRIMARY KEY,
    size BIGINT NOT NULL,
    frontier BLOB NOT NULL,
    -- When a head was last signed, and when batches of sensors were last put together.
    head_at BIGINT NOT NULL,
    batches_at BIGINT NOT NULL
);

-- Up to where each partition of the bus is sealed.
CREATE TABLE transparency_sealed (
    topic TEXT NOT NULL,
    part BIGINT NOT NULL,
    next_offset BIGINT NOT NULL,
    PRIMARY KEY (topic, part)
);

-- The entry that a batch is part of; -1 for those from before the log.
ALTER TABLE sensor_batch ADD COLUMN leaf BIGINT;
UPDATE sensor_batch SET leaf = -1;
CREATE INDEX sensor_batch_leaf ON sensor_batch (leaf);

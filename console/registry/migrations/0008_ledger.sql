-- What came from each spool of a sensor, what the sensor says of it, and the roots of its batches.

CREATE TABLE sensor_epoch (
    sensor TEXT NOT NULL REFERENCES sensor (id),
    -- The bits of a number without sign.
    epoch BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    batches BIGINT NOT NULL,
    unsigned_batches BIGINT NOT NULL,
    -- Events by class, JSON.
    received TEXT NOT NULL,
    -- The sensor's own words, JSON, and what follows from them.
    stated TEXT,
    stated_at BIGINT,
    summary TEXT,
    PRIMARY KEY (sensor, epoch)
);

-- Runs of received sequences; no two touch.
CREATE TABLE sensor_range (
    sensor TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    first BIGINT NOT NULL,
    last BIGINT NOT NULL,
    PRIMARY KEY (sensor, epoch, first)
) WITHOUT ROWID;

-- Runs of batches that will never come, as the sensor says.
CREATE TABLE sensor_gone (
    sensor TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    first BIGINT NOT NULL,
    last BIGINT NOT NULL,
    class TEXT NOT NULL,
    why TEXT NOT NULL,
    events BIGINT NOT NULL,
    PRIMARY KEY (sensor, epoch, first)
) WITHOUT ROWID;

CREATE TABLE sensor_batch (
    sensor TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    class TEXT NOT NULL,
    events BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    root BLOB NOT NULL,
    signature BLOB NOT NULL,
    -- SHA-256 of the certificate whose key signed.
    certificate TEXT NOT NULL,
    PRIMARY KEY (sensor, epoch, sequence)
) WITHOUT ROWID;

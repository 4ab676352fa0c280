-- What a consumer remembers, in parts, so that a step writes only those that it changed.

CREATE TABLE consumer_state (
    consumer TEXT NOT NULL,
    topic TEXT NOT NULL,
    part BIGINT NOT NULL,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (consumer, topic, part, name)
);

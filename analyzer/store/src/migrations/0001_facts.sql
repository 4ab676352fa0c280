-- Facts: events, signals, alerts. Partitions and retention go by the time of arrival, which is ours; the time that
-- a source claims never decides how many partitions there are. A row is never changed. An insert is synced when it
-- answers, and the same insert (token) is taken once. Sparse columns are off: with them an insert of our many
-- nullable columns takes twice the time.
CREATE TABLE dongson.events (
    {columns},
    original Nullable(String) CODEC(ZSTD(3)),
    rest Map(LowCardinality(String), String) CODEC(ZSTD(3)),
    retention_days UInt16 CODEC(ZSTD(1)),
    search String ALIAS {search},
    INDEX by_event_id event_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_source_ip source_ip TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_destination_ip destination_ip TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_host_name host_name TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_user_name user_name TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_dns_question_name dns_question_name TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_timestamp timestamp TYPE minmax GRANULARITY 1,
    INDEX by_words search TYPE text(tokenizer = splitByNonAlpha)
)
ENGINE = {engine}
PARTITION BY (retention_days, toYYYYMMDD(event_ingested))
ORDER BY (organization_id, event_dataset, timestamp, event_id)
TTL toDateTime(event_ingested) + toIntervalDay(retention_days)
SETTINGS non_replicated_deduplication_window = 100000, fsync_after_insert = 1, fsync_part_directory = 1,
    ttl_only_drop_parts = 1, min_bytes_for_wide_part = 67108864, ratio_of_defaults_for_sparse_serialization = 1.0;

CREATE TABLE dongson.signals (
    signal_id String CODEC(ZSTD(1)),
    alert_id String CODEC(ZSTD(1)),
    organization_id LowCardinality(String),
    rule_id LowCardinality(String),
    title LowCardinality(String),
    title_vi LowCardinality(String),
    level LowCardinality(String),
    tags Array(LowCardinality(String)),
    event_id String CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    ingested DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    observer_name LowCardinality(String),
    entity_kind LowCardinality(String),
    entity_value String CODEC(ZSTD(1)),
    window_seconds UInt32,
    asset_level UInt8,
    matched String CODEC(ZSTD(3)),
    count UInt64,
    drill LowCardinality(Nullable(String)),
    INDEX by_signal_id signal_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_event_id event_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_alert_id alert_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = {engine}
PARTITION BY toYYYYMM(ingested)
ORDER BY (organization_id, rule_id, timestamp, signal_id)
TTL toDateTime(ingested) + toIntervalDay(730)
SETTINGS non_replicated_deduplication_window = 100000, fsync_after_insert = 1, fsync_part_directory = 1,
    ttl_only_drop_parts = 1;

CREATE TABLE dongson.alerts (
    alert_id String CODEC(ZSTD(1)),
    window_start DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    risk UInt8,
    signal_id String CODEC(ZSTD(1)),
    organization_id LowCardinality(String),
    rule_id LowCardinality(String),
    title LowCardinality(String),
    title_vi LowCardinality(String),
    level LowCardinality(String),
    tags Array(LowCardinality(String)),
    event_id String CODEC(ZSTD(1)),
    timestamp DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    ingested DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    observer_name LowCardinality(String),
    entity_kind LowCardinality(String),
    entity_value String CODEC(ZSTD(1)),
    window_seconds UInt32,
    asset_level UInt8,
    matched String CODEC(ZSTD(3)),
    count UInt64,
    drill LowCardinality(Nullable(String)),
    INDEX by_alert_id alert_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = {engine}
PARTITION BY toYYYYMM(ingested)
ORDER BY (organization_id, rule_id, timestamp, alert_id)
TTL toDateTime(ingested) + toIntervalDay(1825)
SETTINGS non_replicated_deduplication_window = 100000, fsync_after_insert = 1, fsync_part_directory = 1,
    ttl_only_drop_parts = 1;

-- Counts per minute of the time of the event, for charts. They are filled by the inserts into the facts and drop a
-- repeated insert as the facts do. Partitions go by the day of arrival, as everywhere.
CREATE TABLE dongson.events_per_minute (
    organization_id LowCardinality(String),
    minute DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    event_dataset LowCardinality(String),
    dongson_drill LowCardinality(String),
    ingested_month UInt32,
    events UInt64
)
ENGINE = {summing}(events)
PARTITION BY ingested_month
ORDER BY (organization_id, minute, event_dataset, dongson_drill, ingested_month)
SETTINGS non_replicated_deduplication_window = 100000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW dongson.events_to_minutes TO dongson.events_per_minute AS
SELECT organization_id, toStartOfMinute(toDateTime(timestamp, 'UTC')) AS minute, event_dataset,
    ifNull(dongson_drill, '') AS dongson_drill, toYYYYMM(event_ingested) AS ingested_month, count() AS events
FROM dongson.events
GROUP BY organization_id, minute, event_dataset, dongson_drill, ingested_month;

CREATE TABLE dongson.alerts_per_minute (
    organization_id LowCardinality(String),
    minute DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
    level LowCardinality(String),
    rule_id LowCardinality(String),
    drill LowCardinality(String),
    ingested_month UInt32,
    alerts UInt64
)
ENGINE = {summing}(alerts)
PARTITION BY ingested_month
ORDER BY (organization_id, minute, level, rule_id, drill, ingested_month)
SETTINGS non_replicated_deduplication_window = 100000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW dongson.alerts_to_minutes TO dongson.alerts_per_minute AS
SELECT organization_id, toStartOfMinute(toDateTime(timestamp, 'UTC')) AS minute, level, rule_id,
    ifNull(drill, '') AS drill, toYYYYMM(ingested) AS ingested_month, count() AS alerts
FROM dongson.alerts
GROUP BY organization_id, minute, level, rule_id, drill, ingested_month;

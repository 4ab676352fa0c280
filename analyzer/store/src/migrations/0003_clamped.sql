-- An event whose claimed time is older than its source can spool is held at the bound, a week ago to the second: such
-- events must not stand in a comparison with last week. They are counted apart.
ALTER TABLE dongson.events_per_minute
    ADD COLUMN IF NOT EXISTS clamped UInt8,
    MODIFY ORDER BY (organization_id, minute, event_dataset, dongson_drill, ingested_month, clamped);

ALTER TABLE dongson.events_to_minutes MODIFY QUERY
SELECT organization_id, toStartOfMinute(toDateTime(timestamp, 'UTC')) AS minute, event_dataset,
    ifNull(dongson_drill, '') AS dongson_drill, toYYYYMM(event_ingested) AS ingested_month,
    toUInt8(rest['dongson.time.basis'] = '"clamped-past"') AS clamped, count() AS events
FROM dongson.events
GROUP BY organization_id, minute, event_dataset, dongson_drill, ingested_month, clamped;

-- What the transparency log needs beside a row: its segment (0: from before the log), its place there, and two bytes of its
-- hash, by which a row that was changed is told from its neighbours. Few segments stand in one granule.
ALTER TABLE dongson.events
    ADD COLUMN IF NOT EXISTS segment UInt64 CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS place UInt32 CODEC(Delta, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS leaf UInt16 CODEC(NONE);

ALTER TABLE dongson.events ADD INDEX IF NOT EXISTS by_segment segment TYPE bloom_filter(0.01) GRANULARITY 1;

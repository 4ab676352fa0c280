-- Sensors that a drill enrolled are not shown among those that watch.

ALTER TABLE sensor ADD COLUMN drill BIGINT NOT NULL DEFAULT 0;

UPDATE sensor SET drill = 1 WHERE id IN (
    SELECT sensor FROM enrolment_token WHERE created_by = 'service:drill' AND sensor IS NOT NULL
);

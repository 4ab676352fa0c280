-- Who answers for a sensor, and since when a source sends far less than it should.

ALTER TABLE sensor ADD COLUMN owner TEXT;
ALTER TABLE source ADD COLUMN quiet_since BIGINT;

UPDATE sensor SET owner = (
    SELECT account.login FROM enrolment_token
    JOIN account ON account.id = enrolment_token.created_by
    WHERE enrolment_token.sensor = sensor.id
);

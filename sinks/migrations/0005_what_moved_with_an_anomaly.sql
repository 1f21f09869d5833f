-- Rows that were written before have the defaults: their causes are on the topic only.
ALTER TABLE anomalies
    ADD COLUMN causes     jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN incident   text  NOT NULL DEFAULT '',
    ADD COLUMN suppressed text  NOT NULL DEFAULT '';
COMMENT ON COLUMN anomalies.causes IS
    'Which values of which dimensions moved with the metric, the likeliest first: hints, no proof.';
COMMENT ON COLUMN anomalies.incident IS
    'The same for all anomalies of a scope that belong together; empty where it is held back.';
COMMENT ON COLUMN anomalies.suppressed IS
    'Why it was to be expected, and is no anomaly; empty where it was not.';
CREATE INDEX anomalies_by_incident ON anomalies (incident) WHERE incident <> '';

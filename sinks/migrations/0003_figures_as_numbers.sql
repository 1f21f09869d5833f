-- The summaries of a window's metrics were 1.5 kB of JSON, most of what a row cost. They are arrays
-- of numbers now, and the view that has the table's former name makes the same JSON of them.

CREATE FUNCTION finite(value double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN value NOT IN ('NaN', 'Infinity', '-Infinity') THEN value END;
COMMENT ON FUNCTION finite IS 'The value, or NULL where it is no number that JSON has.';

CREATE FUNCTION metrics_as_json(names text[], counts bigint[], figures double precision[])
RETURNS json LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT coalesce(json_object_agg(names[i], json_build_object(
        'count', counts[i],
        'sum', finite(figures[9 * i - 8]),
        'mean', finite(figures[9 * i - 7]),
        'min', finite(figures[9 * i - 6]),
        'max', finite(figures[9 * i - 5]),
        'stddev', finite(figures[9 * i - 4]),
        'p50', finite(figures[9 * i - 3]),
        'p90', finite(figures[9 * i - 2]),
        'p95', finite(figures[9 * i - 1]),
        'p99', finite(figures[9 * i])
    ) ORDER BY i), '{}')
    FROM generate_subscripts(names, 1) AS i
);

CREATE TABLE windows (
    scope                text             NOT NULL,
    window_name          text             NOT NULL,
    start_at             timestamptz      NOT NULL,
    model                text             NOT NULL,
    provider             text             NOT NULL,
    config_version       text             NOT NULL,
    cohort               text             NOT NULL,
    service              text             NOT NULL,
    endpoint             text             NOT NULL,
    end_at               timestamptz      NOT NULL,
    revision             bigint           NOT NULL,
    closed               boolean          NOT NULL,
    watermark            timestamptz      NOT NULL,
    requests             bigint           NOT NULL,
    success              bigint           NOT NULL,
    errors               bigint           NOT NULL,
    timeouts             bigint           NOT NULL,
    retries              bigint           NOT NULL,
    latency_mean_ms      double precision,
    latency_p50_ms       double precision,
    latency_p95_ms       double precision,
    latency_p99_ms       double precision,
    quality_mean         double precision,
    tokens_input         bigint           NOT NULL,
    tokens_output        bigint           NOT NULL,
    cost_usd             double precision,
    cost_per_request_usd double precision,
    errors_by_type       json             NOT NULL,
    metric_names         text[]           NOT NULL,
    metric_counts        bigint[]         NOT NULL,
    metric_figures       double precision[] NOT NULL,
    price                json,
    target               json,
    model_card           json,
    missing              json             NOT NULL,
    PRIMARY KEY (scope, window_name, start_at, model, provider, config_version, cohort)
);
ALTER TABLE windows SET (toast_tuple_target = 8160);
COMMENT ON TABLE windows IS
    'Windows of 1 min to 7 days per key, and pooled (model = provider = config_version = cohort = *).';
COMMENT ON COLUMN windows.metric_names IS
    'Which metrics have values. Their figures are in metric_counts[i] and metric_figures.';
COMMENT ON COLUMN windows.metric_figures IS
    'For metric i, from 9i - 8 to 9i: sum, mean, min, max, stddev, p50, p90, p95, p99.';
COMMENT ON COLUMN windows.price IS
    'json, as all documents here: jsonb would be taken apart when written. The view says jsonb.';

INSERT INTO windows
SELECT
    scope, window_name, start_at, model, provider, config_version, cohort, service, endpoint,
    end_at, revision, closed, watermark, requests, success, errors, timeouts, retries,
    latency_mean_ms, latency_p50_ms, latency_p95_ms, latency_p99_ms, quality_mean,
    tokens_input, tokens_output, cost_usd, cost_per_request_usd,
    errors_by_type, names, counts, coalesce(figures, '{}'), price, target, model_card, missing
FROM aggregates
CROSS JOIN LATERAL (
    SELECT
        coalesce(array_agg(key ORDER BY at), '{}') AS names,
        coalesce(array_agg((value ->> 'count')::bigint ORDER BY at), '{}') AS counts
    FROM json_each(metrics) WITH ORDINALITY AS each (key, value, at)
) AS summaries
CROSS JOIN LATERAL (
    -- What JSON calls null was no number.
    SELECT array_agg(coalesce((value ->> field)::double precision, 'NaN') ORDER BY at, place)
        AS figures
    FROM json_each(metrics) WITH ORDINALITY AS each (key, value, at)
    CROSS JOIN unnest(
        ARRAY['sum', 'mean', 'min', 'max', 'stddev', 'p50', 'p90', 'p95', 'p99']
    ) WITH ORDINALITY AS fields (field, place)
) AS numbers;
DROP TABLE aggregates;
CREATE INDEX windows_by_start ON windows USING brin (start_at);

CREATE VIEW aggregates AS
SELECT
    scope, window_name, start_at, model, provider, config_version, cohort, service, endpoint,
    end_at, revision, closed, watermark, requests, success, errors, timeouts, retries,
    latency_mean_ms, latency_p50_ms, latency_p95_ms, latency_p99_ms, quality_mean,
    tokens_input, tokens_output, cost_usd, cost_per_request_usd,
    errors_by_type::jsonb AS errors_by_type,
    metrics_as_json(metric_names, metric_counts, metric_figures) AS metrics,
    price::jsonb AS price,
    target::jsonb AS target,
    model_card::jsonb AS model_card,
    missing::jsonb AS missing
FROM windows;
COMMENT ON VIEW aggregates IS
    'The windows, with every metric''s summary as JSON, which is made when it is asked for.';

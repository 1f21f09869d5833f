-- What people query. Kafka holds the truth: every row can be written again from its topic.
-- Writers replace a row by a newer revision only, so a batch may be written twice or late.

CREATE TABLE aggregates (
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
    errors_by_type       jsonb            NOT NULL,
    metrics              json             NOT NULL,
    price                jsonb,
    target               jsonb,
    model_card           jsonb,
    missing              jsonb            NOT NULL,
    PRIMARY KEY (scope, window_name, start_at, model, provider, config_version, cohort)
);
COMMENT ON TABLE aggregates IS
    'Windows of 1 min to 7 days per key, and pooled (model = provider = config_version = cohort = *).';
COMMENT ON COLUMN aggregates.metrics IS
    'Every metric''s summary. json, not jsonb: turning 80 numbers into numerics was half of a row''s cost.';
CREATE INDEX aggregates_by_start ON aggregates USING brin (start_at);

CREATE TABLE anomalies (
    id            text             PRIMARY KEY,
    scope         text             NOT NULL,
    metric        text             NOT NULL,
    window_name   text             NOT NULL,
    start_at      timestamptz      NOT NULL,
    end_at        timestamptz      NOT NULL,
    revision      bigint           NOT NULL,
    is_anomaly    boolean          NOT NULL,
    severity      text             NOT NULL,
    confidence    double precision NOT NULL,
    actual        double precision NOT NULL,
    expected      double precision NOT NULL,
    expected_low  double precision NOT NULL,
    expected_high double precision NOT NULL,
    deviation     double precision NOT NULL,
    detector      text             NOT NULL,
    samples       bigint           NOT NULL
);
CREATE INDEX anomalies_by_scope ON anomalies (scope, start_at DESC);

CREATE TABLE decisions (
    id         text             PRIMARY KEY,
    revision   bigint           NOT NULL,
    scope      text             NOT NULL,
    at         timestamptz      NOT NULL,
    rule       text             NOT NULL,
    priority   text             NOT NULL,
    action     text             NOT NULL,
    strategy   text             NOT NULL,
    provider   text,
    model      text,
    confidence double precision NOT NULL,
    propensity double precision NOT NULL,
    policy     text             NOT NULL,
    current    jsonb,
    chosen     jsonb,
    observed   jsonb            NOT NULL,
    inputs     jsonb            NOT NULL,
    candidates jsonb            NOT NULL,
    violations jsonb            NOT NULL,
    reasons    jsonb            NOT NULL
);
COMMENT ON COLUMN decisions.revision IS 'Always 1: a decision is made once.';
COMMENT ON COLUMN decisions.model IS 'The chosen model; NULL when nothing was chosen.';
CREATE INDEX decisions_by_scope ON decisions (scope, at DESC);

CREATE TABLE deployments (
    id                text        NOT NULL,
    sequence          bigint      NOT NULL,
    scope             text        NOT NULL,
    revision          bigint      NOT NULL,
    at                timestamptz NOT NULL,
    phase             text        NOT NULL,
    previous          text,
    step              bigint      NOT NULL,
    steps             bigint      NOT NULL,
    share             bigint      NOT NULL,
    verdict           text        NOT NULL,
    guardrails        jsonb       NOT NULL,
    reason            text        NOT NULL,
    by                text        NOT NULL,
    decision_id       text,
    stable_version    text,
    candidate_version text,
    stable_model      text,
    candidate_model   text,
    PRIMARY KEY (id, sequence)
);
COMMENT ON COLUMN deployments.share IS 'Hundredths of a percent of the units.';
CREATE INDEX deployments_by_scope ON deployments (scope, at DESC);

CREATE TABLE config_versions (
    scope             text        NOT NULL,
    revision          bigint      NOT NULL,
    epoch             bigint      NOT NULL,
    updated_at        timestamptz NOT NULL,
    stable_version    text,
    stable            jsonb,
    candidate_version text,
    candidate         jsonb,
    share             bigint      NOT NULL,
    split             jsonb,
    reason            text        NOT NULL,
    decision_id       text,
    PRIMARY KEY (scope, revision)
);
COMMENT ON TABLE config_versions IS 'Every revision of every scope that was on the config topic.';

CREATE TABLE positions (
    topic       text        NOT NULL,
    partition   integer     NOT NULL,
    next_offset bigint      NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition)
);
COMMENT ON TABLE positions IS
    'Up to where each topic partition is in these tables; written in the transaction of the rows.';

CREATE TABLE insights (
    id          text             PRIMARY KEY,
    scope       text             NOT NULL,
    kind        text             NOT NULL,
    metric      text             NOT NULL,
    window_name text             NOT NULL,
    start_at    timestamptz      NOT NULL,
    end_at      timestamptz      NOT NULL,
    revision    bigint           NOT NULL,
    holds       boolean          NOT NULL,
    at          timestamptz      NOT NULL,
    direction   text             NOT NULL,
    value       double precision NOT NULL,
    reference   double precision,
    low         double precision,
    high        double precision,
    relative    double precision,
    p           double precision,
    confidence  double precision NOT NULL,
    subject     text             NOT NULL,
    causes      jsonb            NOT NULL,
    method      text             NOT NULL,
    samples     bigint           NOT NULL,
    sentence    text             NOT NULL
);
COMMENT ON TABLE insights IS
    'Trends, changes, comparisons, forecasts, predictions: each as it was said last.';
COMMENT ON COLUMN insights.holds IS 'False: it was taken back.';
COMMENT ON COLUMN insights.at IS
    'The first window after a change; the end of the window that is forecast; else the end.';
CREATE INDEX insights_by_scope ON insights (scope, end_at DESC);

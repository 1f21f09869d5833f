"""How far the value of a window may be off by the chance of who asked in it."""

from __future__ import annotations

from math import log, sqrt

from processors.detect.policy import Watch
from processors.reading import observations
from schemas.catalog import Metric
from schemas.window import EnrichedWindow, MetricSummary

QUANTILES = {  # of latency: which it is, and the figures on both sides of it with theirs
    Metric.P50_LATENCY_MS: (0.50, ("p50", 0.50), ("p90", 0.90)),
    Metric.P95_LATENCY_MS: (0.95, ("p90", 0.90), ("p99", 0.99)),
    Metric.P99_LATENCY_MS: (0.99, ("p95", 0.95), ("p99", 0.99)),
}
MEANS = {Metric.QUALITY: "quality", Metric.COST_PER_REQUEST_USD: "cost_usd"}  # of which metric


def independent(row: EnrichedWindow, metric: Metric) -> float:
    """How many of its observations are news: the errors of one user are one piece of it.

    The design effect of clusters (Kish, Survey Sampling, Wiley 1965), by the units that had errors;
    where requests name no unit each counts.
    """
    window, n = row.window, float(observations(row, metric))
    if metric is Metric.ERROR_RATE and window.errors and window.error_units:
        return max(n * min(1.0, len(window.error_units) / window.errors), 1.0)
    return n


def noise(row: EnrichedWindow, watch: Watch) -> float:
    r"""The standard error of the value of a window by the values in it, on the watch's scale.

    Of a mean s/√n; a value far out raises s, so that no single request is news. Of a quantile
    √(q(1−q)/n) / f(q), with the density f by the quantiles on both sides. 0 where the window says
    nothing of it, and for rates, whose noise follows from the rate.
    """
    metrics = row.window.metrics
    if watch.metric in QUANTILES:
        latency = metrics.get("latency_ms")
        return 0.0 if latency is None else _of_quantile(latency, watch)
    found = metrics.get(MEANS.get(watch.metric, ""))
    if found is None or found.count < 2:
        return 0.0
    error = found.stddev / sqrt(found.count)
    return error / max(found.mean, watch.least) if watch.ratio else error


def _of_quantile(latency: MetricSummary, watch: Watch) -> float:
    q, (below, p), (above, r) = QUANTILES[watch.metric]
    low, high = float(getattr(latency, below)), float(getattr(latency, above))
    if watch.ratio:
        low, high = log(max(low, watch.least)), log(max(high, watch.least))
    return sqrt(q * (1 - q) / max(latency.count, 1)) * max(high - low, 0.0) / (r - p)

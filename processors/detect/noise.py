"""How far the value of a window may be off by the chance of who asked in it."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, sqrt

from processors.detect.policy import Watch
from processors.reading import QUANTILES, observations
from schemas.catalog import Metric, Signal
from schemas.window import EnrichedWindow, MetricSummary

SIDES = {  # of a quantile: which it is, and the figures on both sides of it with theirs
    "p50": (0.50, ("p50", 0.50), ("p90", 0.90)),
    "p95": (0.95, ("p90", 0.90), ("p99", 0.99)),
    "p99": (0.99, ("p95", 0.95), ("p99", 0.99)),
}
MEANS: Mapping[Metric | Signal, str] = {  # of what
    Metric.QUALITY: "quality",
    Metric.COST_PER_REQUEST_USD: "cost_usd",
}


def independent(row: EnrichedWindow, metric: Metric | Signal) -> float:
    """How many of its observations are news: the errors of one user are one piece of it.

    The design effect of clusters (Kish, Survey Sampling, Wiley 1965), by the units that had errors;
    where requests name no unit each counts. A number of requests is one observation.
    """
    window = row.window
    if metric is Metric.REQUESTS:
        return 1.0
    n = float(observations(row, metric))
    if metric is Metric.ERROR_RATE and window.errors and window.error_units:
        return max(n * min(1.0, len(window.error_units) / window.errors), 1.0)
    return n


def noise(row: EnrichedWindow, watch: Watch) -> float:
    r"""The standard error of the value of a window by the values in it, on the watch's scale.

    Of a mean s/√n; a value far out raises s, so that no single request is news. Of a quantile
    √(q(1−q)/n) / f(q), with the density f by the quantiles on both sides. Of a share of tokens that
    of what is shared. 0 where the window says nothing of it, and for rates, whose noise follows
    from the rate.
    """
    metrics = row.window.metrics
    if watch.metric in QUANTILES:
        name, which = QUANTILES[watch.metric]
        values = metrics.get(name)
        return 0.0 if values is None else _of_quantile(values, which, watch)
    if watch.metric is Signal.CACHED_SHARE:
        cached, asked = metrics.get("cached_tokens"), metrics.get("tokens_input")
        if cached is None or asked is None or not asked.mean:
            return 0.0
        return cached.stddev / sqrt(cached.count) / asked.mean
    found = metrics.get(MEANS.get(watch.metric, ""))
    if found is None or found.count < 2:
        return 0.0
    error = found.stddev / sqrt(found.count)
    return error / max(found.mean, watch.least) if watch.ratio else error


def _of_quantile(values: MetricSummary, which: str, watch: Watch) -> float:
    q, (below, p), (above, r) = SIDES[which]
    low, high = float(getattr(values, below)), float(getattr(values, above))
    if watch.ratio:
        low, high = log(max(low, watch.least)), log(max(high, watch.least))
    return sqrt(q * (1 - q) / max(values.count, 1)) * max(high - low, 0.0) / (r - p)

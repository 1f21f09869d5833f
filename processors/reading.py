"""One number of a window, or that there is none."""

from __future__ import annotations

from schemas.catalog import Metric
from schemas.window import EnrichedWindow

LATENCIES = {
    Metric.P50_LATENCY_MS: "p50",
    Metric.P95_LATENCY_MS: "p95",
    Metric.P99_LATENCY_MS: "p99",
}


def observations(row: EnrichedWindow, metric: Metric) -> int:
    """How many observations are behind the value of *metric*: requests, or scores."""
    if metric is not Metric.QUALITY:
        return row.window.requests
    scores = row.window.metrics.get("quality")
    return 0 if scores is None else scores.count


def read(row: EnrichedWindow, metric: Metric) -> float | None:
    """The value of *metric* in *row*; None where the window has no evidence of it.

    A rate of no requests, the latency of none, the cost of an unpriced model: each is None, never
    zero. Rates are shares of requests, latencies ms, quality points of 100, costs USD.
    """
    window = row.window
    if metric in LATENCIES:
        latency = window.metrics.get("latency_ms")
        return None if latency is None else float(getattr(latency, LATENCIES[metric]))
    if metric is Metric.QUALITY:
        quality = window.metrics.get("quality")
        return None if quality is None else quality.mean
    if metric is Metric.COST_PER_REQUEST_USD:
        return row.cost_per_request_usd
    if metric is Metric.COST_PER_HOUR_USD:
        hours = (window.end - window.start) / 3_600_000
        return None if row.cost_usd is None else row.cost_usd / hours
    if metric is Metric.REQUESTS:
        return float(window.requests)
    failed = window.errors if metric is Metric.ERROR_RATE else window.timeouts
    return failed / window.requests if window.requests else None

"""One number of a window, or that there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from schemas.catalog import Metric, Signal
from schemas.window import EnrichedWindow

Read = Callable[[EnrichedWindow], float | None]
QUANTILES: Mapping[Metric | Signal, tuple[str, str]] = {  # of what, and which figure
    Metric.P50_LATENCY_MS: ("latency_ms", "p50"),
    Metric.P95_LATENCY_MS: ("latency_ms", "p95"),
    Metric.P99_LATENCY_MS: ("latency_ms", "p99"),
    Signal.P95_TTFT_MS: ("ttft_ms", "p95"),
}
REPORTED: Mapping[Metric | Signal, str] = {  # what not every request has
    Metric.QUALITY: "quality",
    Signal.P95_TTFT_MS: "ttft_ms",
    Signal.CACHED_SHARE: "cached_tokens",
}


def observations(row: EnrichedWindow, metric: Metric | Signal) -> int:
    """How many observations are behind the value of *metric*: requests, or what they reported."""
    if metric not in REPORTED:
        return row.window.requests
    found = row.window.metrics.get(REPORTED[metric])
    return 0 if found is None else found.count


def read(row: EnrichedWindow, metric: Metric | Signal) -> float | None:
    """The value of *metric* in *row*; None where the window has no evidence of it.

    A rate of no requests, the latency of none, the cost of an unpriced model: each is None, never
    zero. Rates are shares of requests, latencies ms, quality points of 100, costs USD, and a cached
    share is that of the mean request.
    """
    return READERS[metric](row)


def _quantile(name: str, which: str) -> Read:
    def reader(row: EnrichedWindow) -> float | None:
        found = row.window.metrics.get(name)
        return None if found is None else float(getattr(found, which))

    return reader


def _quality(row: EnrichedWindow) -> float | None:
    quality = row.window.metrics.get("quality")
    return None if quality is None else quality.mean


def _cost(row: EnrichedWindow) -> float | None:
    return row.cost_per_request_usd


def _hourly(row: EnrichedWindow) -> float | None:
    hours = (row.window.end - row.window.start) / 3_600_000
    return None if row.cost_usd is None else row.cost_usd / hours


def _requests(row: EnrichedWindow) -> float:
    return float(row.window.requests)


def _errors(row: EnrichedWindow) -> float | None:
    window = row.window
    return window.errors / window.requests if window.requests else None


def _timeouts(row: EnrichedWindow) -> float | None:
    window = row.window
    return window.timeouts / window.requests if window.requests else None


def _cached(row: EnrichedWindow) -> float | None:
    cached, asked = (row.window.metrics.get(name) for name in ("cached_tokens", "tokens_input"))
    return None if cached is None or asked is None or not asked.mean else cached.mean / asked.mean


READERS: Mapping[Metric | Signal, Read] = {
    Metric.REQUESTS: _requests,
    Metric.ERROR_RATE: _errors,
    Metric.TIMEOUT_RATE: _timeouts,
    **{metric: _quantile(*where) for metric, where in QUANTILES.items()},
    Metric.QUALITY: _quality,
    Metric.COST_PER_REQUEST_USD: _cost,
    Metric.COST_PER_HOUR_USD: _hourly,
    Signal.CACHED_SHARE: _cached,
}

"""Findings in words."""

from __future__ import annotations

NAMES = {
    "p95_latency_ms": ("p95 latency", " ms"),
    "error_rate": ("error rate", ""),
    "cost_per_request_usd": ("cost per request", " USD"),
    "quality": ("quality", ""),
    "requests": ("requests", ""),
}
LENGTHS = {"1m": "minute", "1h": "hour", "24h": "day"}


def called(metric: str) -> str:
    """A metric as people call it."""
    return NAMES.get(metric, (metric.replace("_", " "), ""))[0]


def amount(metric: str, value: float) -> str:
    """A value with its unit.

    >>> amount("p95_latency_ms", 812.345), amount("requests", 12000.0)
    ('812.3 ms', '12,000')
    """
    number = f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return f"{number}{NAMES.get(metric, ('', ''))[1]}"


def by(relative: float | None) -> str:
    """A relative change in brackets, nothing where there is none.

    >>> by(0.1234), by(None)
    (' (+12 %)', '')
    """
    return "" if relative is None else f" ({100 * relative:+.2g} %)"


def lasting(windows: int, window: str) -> str:
    """A number of windows.

    >>> lasting(1, "1m"), lasting(24, "1h")
    ('1 minute', '24 hours')
    """
    name = LENGTHS[window]
    return f"{windows} {name}" if windows == 1 else f"{windows} {name}s"

"""All that one arm did in one minute, whatever its keys."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from processors.stats import histograms
from processors.stats.contrast import Moments
from schemas.window import EnrichedWindow, Histogram, MetricSummary

MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One cohort's minute: the sum of its rows."""

    requests: int = 0
    errors: int = 0
    units: frozenset[int] = frozenset()  # buckets with an error
    latency: Histogram = field(default_factory=Histogram)
    quality: Histogram = field(default_factory=Histogram)
    quality_moments: Moments = field(default_factory=Moments)
    cost: Histogram = field(
        default_factory=Histogram
    )  # empty unless every request reported its own
    cost_moments: Moments = field(default_factory=Moments)  # of the requests whose cost is known


def pool(rows: Sequence[EnrichedWindow]) -> Arm:
    """Add the rows of one cohort and minute up; no rows give an arm that did nothing."""
    windows = [row.window for row in rows]
    reported = all(
        "cost_usd" in w.metrics and w.metrics["cost_usd"].count == w.requests
        for w in windows
        if w.requests
    )
    return Arm(
        requests=sum(w.requests for w in windows),
        errors=sum(w.errors for w in windows),
        units=frozenset(unit for w in windows for unit in w.error_units),
        latency=_histogram(rows, "latency_ms"),
        quality=_histogram(rows, "quality"),
        quality_moments=_add(
            _moments(w.metrics["quality"]) for w in windows if "quality" in w.metrics
        ),
        cost=_histogram(rows, "cost_usd") if reported else Histogram(),
        cost_moments=_add(_cost(row) for row in rows),
    )


def _histogram(rows: Sequence[EnrichedWindow], metric: str) -> Histogram:
    found = [r.window.metrics[metric].histogram for r in rows if metric in r.window.metrics]
    return found[0] if len(found) == 1 else histograms.pool(found)


def _moments(summary: MetricSummary) -> Moments:
    return Moments(summary.count, summary.mean, max(summary.count - 1, 0) * summary.stddev**2)


def _cost(row: EnrichedWindow) -> Moments:
    """The cost per request of a row: as reported, else as priced from its tokens.

    Of priced rows only the total is known. The spread of p_in·T_in + p_out·T_out is at most
    p_in·σ(T_in) + p_out·σ(T_out), which overstates it and so asks for more evidence, not less.
    """
    window, reported = row.window, row.window.metrics.get("cost_usd")
    if reported is not None and reported.count == window.requests:
        return _moments(reported)
    if row.cost_usd is None or row.price is None or not window.requests:
        return Moments()
    prices = (
        ("tokens_input", row.price.input_per_mtok),
        ("tokens_output", row.price.output_per_mtok),
    )
    deviation = sum(
        price * window.metrics[tokens].stddev / MILLION
        for tokens, price in prices
        if tokens in window.metrics
    )
    n = window.requests
    return Moments(n, row.cost_usd / n, (n - 1) * deviation**2)


def _add(parts: Iterable[Moments]) -> Moments:
    """Moments of the union of samples (Chan, Golub & LeVeque 1979), in a fixed order."""
    known = [part for part in parts if part.n]
    if len(known) < 2:
        return known[0] if known else Moments()
    n = sum(part.n for part in known)
    mean = math.fsum(part.n * part.mean for part in known) / n
    squares = math.fsum(part.squares + part.n * (part.mean - mean) ** 2 for part in known)
    return Moments(n, mean, squares)

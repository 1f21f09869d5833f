"""What latency and cost looked like before the rollout: where to cut, not what to expect."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.sketch import ESTIMATES
from processors.stats import histograms
from schemas.window import EnrichedWindow, Histogram

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

QUANTILES = (0.50, 0.75, 0.90, 0.95, 0.99)
CUTS = (0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.82, 0.975)  # between them, for the shifts
LOG_ODDS = (0.2, 0.4, 0.7, 1.1, 1.7, 2.6, 4.0)
SHIFTS = (1.03, 1.06, 1.12, 1.2, 1.35, 1.6, 2.2, 4.0)
WINSOR = 0.999
NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Classes:
    """Classes of a metric, cut at its past quantiles, and the alternatives to test for.

    `tilts` [a, k] are density ratios candidate/stable per class, rising from class to class, so
    that they speak of larger values only; `weights` [a] is the prior over them. `scores` [s, k]
    are the statistics they rest on, `score` [a] which one each does.
    """

    edges: tuple[int, ...] = ()  # buckets, ascending; a class ends with its edge
    base: tuple[float, ...] = ()  # share of the past per class, len(edges) + 1
    tilts: tuple[tuple[float, ...], ...] = ()
    weights: tuple[float, ...] = ()
    scores: tuple[tuple[float, ...], ...] = ()
    score: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The pre-period of a scope; a metric that nobody reported then is absent."""

    latency: Classes | None = None
    latency_p95: int | None = None  # bucket
    cost: Classes | None = None
    cost_limit: float | None = None  # p99.9, USD per request


def reference(windows: Sequence[EnrichedWindow]) -> Reference:
    """Build the reference from windows of before the rollout.

    Args:
        windows: Rows that do not overlap: the scope's pooled rows, or those of its stable config.
    """
    latency = _histogram(windows, "latency_ms")
    cost = _histogram(windows, "cost_usd")
    limit = histograms.quantile(cost, WINSOR)
    return Reference(
        latency=_classes(latency, QUANTILES),
        latency_p95=histograms.quantile(latency, 0.95),
        cost=_classes(cost, ()),
        cost_limit=None if limit is None or limit < 0 else float(ESTIMATES[limit + 1]) / NANO,
    )


def _histogram(windows: Sequence[EnrichedWindow], metric: str) -> Histogram:
    return histograms.pool(
        row.window.metrics[metric].histogram for row in windows if metric in row.window.metrics
    )


def _classes(past: Histogram, quantiles: tuple[float, ...]) -> Classes | None:
    """Cut *past*: tilts for an exceedance of each of *quantiles*, and for each of the SHIFTS.

    Half of the prior is on the exceedances (equally on each quantile, so that their e-values are
    averaged), half on "all values are multiplied by the same factor", which sees a shift that no
    single quantile shows as soon.
    """
    total = sum(past.counts)
    if not total:
        return None
    marks = {q: histograms.quantile(past, q) for q in (*QUANTILES, *CUTS)}
    edges = sorted({mark for mark in marks.values() if mark is not None})
    base = _shares(past, edges, 0)
    tilts: list[Floats] = []
    weights: list[float] = []
    scores = [
        (np.arange(len(edges) + 1) > edges.index(marks[q] or 0)).astype(np.float64)
        for q in quantiles
    ]
    score: list[int] = []
    for (i, above), log_odds in itertools.product(list(enumerate(scores)), LOG_ODDS):
        tilts.append(np.exp(log_odds * above))
        weights.append(0.5 / (len(quantiles) * len(LOG_ODDS)))
        score.append(i)
    for factor in SHIFTS:
        shifted = _shares(past, edges, histograms.steps(factor))
        # Rising ratios keep the test one-sided whatever the shapes; a twentieth of the past
        # keeps one odd value from deciding.
        tilts.append(np.maximum.accumulate(0.95 * shifted / base + 0.05))
        weights.append((0.5 if quantiles else 1.0) / len(SHIFTS))
        score.append(len(scores))
        scores.append(np.log(tilts[-1]))
    return Classes(
        edges=tuple(edges),
        base=tuple(base.tolist()),
        tilts=tuple(tuple(tilt.tolist()) for tilt in tilts),
        weights=tuple(weights),
        scores=tuple(tuple(row.tolist()) for row in scores),
        score=tuple(score),
    )


def _shares(past: Histogram, edges: list[int], steps: int) -> Floats:
    """The share of the past per class, were all values *steps* buckets higher; none is zero."""
    counts = class_counts(past, edges, steps) + 0.5
    shares: Floats = counts / counts.sum()
    return shares


def class_counts(values: Histogram, edges: Sequence[int] | Ints, steps: int = 0) -> Floats:
    """How many values fall in each class [len(edges) + 1], all moved *steps* buckets up."""
    classes = np.searchsorted(edges, np.array(values.buckets, dtype=np.int64) + steps)
    weights = np.array(values.counts, dtype=np.float64)
    return np.bincount(classes, weights=weights, minlength=len(edges) + 1).astype(np.float64)

"""Guardrails with what a textbook would say of both cohorts, beside their verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from processors.actuate.evidence import Evidence
from processors.sketch import ESTIMATES
from processors.stats.comparison import compare
from processors.stats.contrast import Contrast
from schemas.partial import METRICS
from schemas.rollout import Comparison, Guardrail
from schemas.window import Histogram

Floats = npt.NDArray[np.float64]
Counts = tuple[Floats, Floats, Floats]  # values [k], ascending; counts of both cohorts [k]
UNITS = dict(METRICS)


def informed(guardrails: Iterable[Guardrail], evidence: Evidence) -> tuple[Guardrail, ...]:
    """Add each guardrail's comparison; the verdicts stay what they are."""
    samples = {
        "errors": _failures(evidence.errors.rates),
        "latency": _counts(evidence.latency.stable, evidence.latency.candidate, "latency_ms"),
        "quality": _counts(evidence.quality.stable, evidence.quality.candidate, "quality"),
        "cost": _counts(evidence.cost.stable, evidence.cost.candidate, "cost_usd"),
    }
    return tuple(
        replace(rail, comparison=_comparison(*samples[rail.metric])) for rail in guardrails
    )


def _failures(rates: Contrast) -> Counts:
    """Requests as 1 where they failed, else 0."""
    stable, candidate = round(rates.stable_sum), round(rates.candidate_sum)
    return (
        np.array([0.0, 1.0]),
        np.array([rates.stable_n - stable, stable], dtype=np.float64),
        np.array([rates.candidate_n - candidate, candidate], dtype=np.float64),
    )


def _counts(stable: Histogram, candidate: Histogram, metric: str) -> Counts:
    """Each value as the middle of its bucket, in the metric's own unit."""
    buckets = np.union1d(stable.buckets, candidate.buckets).astype(np.int64)
    counts = [np.zeros(buckets.size), np.zeros(buckets.size)]
    for count, histogram in zip(counts, (stable, candidate), strict=True):
        count[np.searchsorted(buckets, histogram.buckets)] = histogram.counts
    return ESTIMATES[buckets + 1] / UNITS[metric], counts[0], counts[1]


def _comparison(values: Floats, stable: Floats, candidate: Floats) -> Comparison | None:
    found = compare(values, stable, candidate)
    if found is None:
        return None
    return Comparison(
        difference=found.difference.value,
        difference_low=found.difference.low,
        difference_high=found.difference.high,
        effect=found.effect.value,
        effect_low=found.effect.low,
        effect_high=found.effect.high,
        superiority=found.superiority.value,
        superiority_low=found.superiority.low,
        superiority_high=found.superiority.high,
        welch_p=found.welch_p,
        mann_whitney_p=found.mann_whitney_p,
    )

"""What a guardrail can say at any time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from processors.stats.confidence import NONE, radius, tuning
from processors.stats.contrast import Contrast

TUNED = 500.0  # weight at which bounds are narrowest: 1,000 requests in each of two equal arms


class Levels(NamedTuple):
    """How often a guardrail may be wrong, at all times together."""

    worse: float  # in saying that a harmless candidate is worse
    within: float  # in saying that a harm beyond the margin is within it


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One guardrail's figures; harm is in the unit of its margin, positive is worse."""

    log_e: float
    stable_n: int
    candidate_n: int
    stable_value: float | None
    candidate_value: float | None
    lower_harm: float | None  # the harm is above it, at all times together
    upper_harm: float | None  # the harm is below it


def bounded(log_e: float) -> float:
    """*log_e* within ±10⁶, so that it can be written down anywhere."""
    return min(max(log_e, NONE), 1e6)


def harm_bounds(
    contrast: Contrast, levels: Levels, variance: float, sign: float = 1.0
) -> tuple[float, float]:
    """Lower and upper bound of sign·(candidate − stable), each at its level."""
    low, high = (radius(contrast.weight, variance, alpha, tuning(alpha, TUNED)) for alpha in levels)
    difference = sign * contrast.difference
    return difference - low, difference + high


def mean(total: float, n: int) -> float | None:
    """The mean, or None of nothing."""
    return total / n if n else None


def finite(value: float) -> float | None:
    """None for a bound that is not known."""
    return value if math.isfinite(value) else None

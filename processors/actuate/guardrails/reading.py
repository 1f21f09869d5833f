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


@dataclass(frozen=True, slots=True)
class Standing:
    """An estimate of the harm, in the unit of its margin, with its standard error.

    Of a harm that is known only up to a grid, the rows (h, excess, error) say for each h by how
    much an estimate that is below zero when the harm is below h is so.
    """

    weight: float  # Σ n_c n_s / (n_c + n_s): the information, but for a factor
    harm: float = 0.0
    error: float = 0.0
    grid: tuple[tuple[float, float, float], ...] = ()

    def upper(self, multiple: float) -> float | None:
        """The harm is below it, unless the estimate is *multiple* standard errors off."""
        if not self.grid:
            return self.harm + multiple * self.error
        below = (h for h, excess, error in self.grid if excess + multiple * error < 0.0)
        return next(below, None)

    def lower(self, multiple: float) -> float | None:
        """The harm is above it, unless the estimate is *multiple* standard errors off."""
        if not self.grid:
            return self.harm - multiple * self.error
        above = [h for h, excess, error in self.grid if excess - multiple * error > 0.0]
        return above[-1] if above else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One guardrail's figures; harm is in the unit of its margin, positive is worse."""

    log_e: float
    stable_n: int
    candidate_n: int
    compared_n: int  # of them, in minutes in which the stable config had values too
    stable_value: float | None
    candidate_value: float | None
    standing: Standing | None  # None: too little is known
    lower_harm: float | None  # the harm is above it, at all times together
    upper_harm: float | None  # the harm is below it, at all times together


def bounded(log_e: float) -> float:
    """*log_e* within ±10⁶, so that it can be written down anywhere."""
    return min(max(log_e, NONE), 1e6)


def mean(total: float, n: int) -> float | None:
    """The mean, or None of nothing."""
    return total / n if n else None


def sequence(weight: float, alpha: float) -> float:
    """How many standard errors off an estimate may be, at all times together.

    The radius of the asymptotic confidence sequence (`confidence.radius`) over √(σ²/n).
    """
    return radius(weight, weight, alpha, tuning(alpha, TUNED))


def standing_of(
    contrast: Contrast, variance: float, scale: float = 1.0, sign: float = 1.0
) -> Standing:
    """The harm sign·(candidate − stable)/scale of arms that could be compared.

    Args:
        contrast: Both arms; its weight is positive.
        variance: Of one observation.
        scale: What the harm is a part of; 1 when it is absolute.
        sign: −1 where less is worse.
    """
    error = math.sqrt(variance / contrast.weight) / scale
    return Standing(contrast.weight, sign * contrast.difference / scale, error)


def harm_bounds(standing: Standing | None, levels: Levels) -> tuple[float | None, float | None]:
    """Lower and upper bound of the harm, each at its level and at all times together."""
    if standing is None:
        return None, None
    low, high = (sequence(standing.weight, alpha) for alpha in levels)
    return standing.lower(low), standing.upper(high)


def reading_of(
    contrast: Contrast, log_e: float, standing: Standing | None, levels: Levels
) -> Reading:
    """The figures of a guardrail that compares the means of both arms."""
    lower, upper = harm_bounds(standing, levels)
    return Reading(
        log_e=bounded(log_e),
        stable_n=contrast.stable_n,
        candidate_n=contrast.candidate_n,
        compared_n=contrast.compared_n,
        stable_value=mean(contrast.stable_sum, contrast.stable_n),
        candidate_value=mean(contrast.candidate_sum, contrast.candidate_n),
        standing=standing,
        lower_harm=lower,
        upper_harm=upper,
    )

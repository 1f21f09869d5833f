"""Two samples in the textbook's terms.

Each p-value is that of one look at a sample whose size was fixed before. A rollout is looked at all
the time, and its requests come in sessions: both make these p-values too small, so that they are
for people to read there, never to decide by. Of stretches of time the inflation by autocorrelation
can be told.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]

LEVEL = 0.95  # of each interval
FEWEST = 2  # values per sample


class Interval(NamedTuple):
    """An estimate, and the ends of its interval."""

    value: float
    low: float
    high: float


class Comparison(NamedTuple):
    """The candidate beside the stable arm."""

    difference: Interval  # of the means, candidate − stable
    effect: Interval  # the same in standard deviations
    superiority: Interval  # chance that a value of the candidate is the larger one
    welch_p: float  # two-sided
    mann_whitney_p: float  # two-sided


def compare(
    values: Floats,
    stable: Floats,
    candidate: Floats,
    inflation: tuple[float, float] | None = None,
) -> Comparison | None:
    r"""Compare two samples that are given as counts of the same ascending values.

    Welch's t with Satterthwaite's degrees of freedom (Welch, Biometrika 1947) for the means;
    Hedges' g = (1 − 3/(4ν − 1))·Δ/s with the variance (n + m)/nm + g²/2(n + m) (Hedges & Olkin,
    "Statistical methods for meta-analysis", 1985, chapter 5) for the effect; Mann-Whitney's U with
    ties and continuity corrected (Mann & Whitney, Ann. Math. Stat. 1947; Lehmann, "Nonparametrics",
    1975); A = U/nm (Vargha & Delaney 2000) with the variance from placements (DeLong, DeLong &
    Clarke-Pearson, Biometrics 1988) for the superiority.

    With an inflation the variance of each mean is so many times that of independent values, and
    tests have as many degrees of freedom as there are independent ones.

    Args:
        values: [k], ascending.
        stable: counts [k].
        candidate: counts [k].
        inflation: Of the variance of each mean, at least 1; None: values are independent.

    Returns:
        None when a sample has fewer than two values, or all values are alike.
    """
    n, m = float(stable.sum()), float(candidate.sum())
    if min(n, m) < FEWEST or np.count_nonzero(stable + candidate) < FEWEST:
        return None
    (mean_a, variance_a), (mean_b, variance_b) = (
        _moments(values, stable),
        _moments(values, candidate),
    )
    z = float(special.ndtri((1.0 + LEVEL) / 2.0))
    inflated_a, inflated_b = inflation or (1.0, 1.0)
    free_a, free_b = n / inflated_a, m / inflated_b  # values that are independent
    # Of U and the effect, whose variances are those of both samples' values.
    wider = math.sqrt((inflated_a * free_b + inflated_b * free_a) / (free_a + free_b))
    difference = mean_b - mean_a
    part_a, part_b = variance_a / free_a, variance_b / free_b
    error = math.sqrt(part_a + part_b)
    pooled = math.sqrt(((n - 1) * variance_a + (m - 1) * variance_b) / (n + m - 2))
    if error == 0.0:
        return None  # each sample is a single value, though not the same one
    freedom = (part_a + part_b) ** 2 / (
        part_a**2 / max(free_a - 1.0, 1.0) + part_b**2 / max(free_b - 1.0, 1.0)
    )
    wide = float(special.stdtrit(freedom, (1.0 + LEVEL) / 2.0)) * error
    g = (1.0 - 3.0 / (4.0 * (n + m - 2) - 1.0)) * difference / pooled
    g_wide = z * wider * math.sqrt((n + m) / (n * m) + g * g / (2.0 * (n + m)))
    place_a = _placements(candidate, m)  # of the stable arm's values among the candidate's
    place_b = _placements(stable, n)
    superior = float(place_b @ candidate) / m
    spread = float(((place_b - superior) ** 2) @ candidate) / ((m - 1) * m) + float(
        ((place_a - (1.0 - superior)) ** 2) @ stable
    ) / ((n - 1) * n)
    a_wide = z * wider * math.sqrt(spread)
    both = max(free_a + free_b - 2.0, 1.0)
    u_z = _mann_whitney(superior * n * m, stable + candidate, n, m) / wider
    u_p = special.ndtr(-u_z) if inflation is None else special.stdtr(both, -u_z)
    return Comparison(
        difference=Interval(difference, difference - wide, difference + wide),
        effect=Interval(g, g - g_wide, g + g_wide),
        superiority=Interval(superior, max(superior - a_wide, 0.0), min(superior + a_wide, 1.0)),
        welch_p=2.0 * float(special.stdtr(freedom, -abs(difference) / error)),
        mann_whitney_p=min(1.0, 2.0 * float(u_p)),
    )


def _moments(values: Floats, counts: Floats) -> tuple[float, float]:
    n = float(counts.sum())
    mean = float(values @ counts) / n
    return mean, float((values - mean) ** 2 @ counts) / (n - 1.0)


def _placements(counts: Floats, n: float) -> Floats:
    """The part of a sample below each value, half of those at it included."""
    below: Floats = (np.cumsum(counts) - counts / 2.0) / n
    return below


def _mann_whitney(u: float, ties: Floats, n: float, m: float) -> float:
    """How many deviations U is off its mean, less half of one for its steps."""
    total = n + m
    tied = float((ties**3 - ties).sum()) / (total * (total - 1.0))
    deviation = math.sqrt(n * m / 12.0 * (total + 1.0 - tied))
    return (abs(u - n * m / 2.0) - 0.5) / deviation

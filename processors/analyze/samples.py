"""Two stretches of time beside each other: what differs, by how much, and whether by chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy import special

from processors.analyze.season import autocorrelation
from processors.analyze.several import holm
from processors.analyze.trend.direction import Good
from processors.stats.comparison import LEVEL, Interval, compare

Floats = npt.NDArray[np.float64]

FEWEST = 8  # values of a sample
MOST = 0.95  # φ is taken for no more
QUANTILES = (0.5, 0.95, 0.99)
LITTLE = 0.05  # of the mean: a difference that is known to be smaller is none, unless it counts
LEAST = 0.01  # the same of one that counts


class Outcome(StrEnum):
    """What became of a metric."""

    BETTER = "better"
    WORSE = "worse"
    HIGHER = "higher"  # and nobody knows whether that is good
    LOWER = "lower"
    ALIKE = "alike"  # known to differ by next to nothing
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile of both samples."""

    q: float
    before: float
    after: float
    difference: Interval


@dataclass(frozen=True, slots=True)
class Beside:
    """One metric of two samples; differences are after − before."""

    name: str
    outcome: Outcome
    before_n: int
    after_n: int
    before: float  # mean
    after: float
    difference: Interval  # of the means
    relative: float | None  # by the mean before; None where that is 0
    effect: Interval  # Hedges' g, in standard deviations
    superiority: Interval  # chance that a value of after is the larger one
    welch_p: float
    mann_whitney_p: float
    p: float  # of no difference: twice the smaller of both, at most 1
    adjusted_p: float  # by Holm's method, for all metrics together
    inflation: tuple[float, float]  # of the variance of each mean, by autocorrelation
    quantiles: tuple[Quantile, ...]


def beside(
    samples: Mapping[str, tuple[Floats, Floats]],
    good: Mapping[str, Good],
    level: float = LEVEL,
) -> list[Beside]:
    """Compare the metrics of two stretches of time; those that cannot be compared are left out.

    Args:
        samples: By metric, the values before [n] and after [m], each in the order of time.
        good: Which way is good; neither where it is not told.
        level: A difference counts where the adjusted p is below 1 − level.

    Returns:
        In the order of *samples*; without metrics of fewer than eight values in a sample, or of
        samples that are both constant.
    """
    found = [
        each
        for name, (before, after) in samples.items()
        if (each := one(name, before, after)) is not None
    ]
    adjusted = holm(np.array([each.p for each in found]))
    return [
        replace(each, adjusted_p=p, outcome=_outcome(each, p, good.get(each.name), 1.0 - level))
        for each, p in zip(found, adjusted.tolist(), strict=True)
    ]


def one(
    name: str, before: Floats, after: Floats, quantiles: Sequence[float] = QUANTILES
) -> Beside | None:
    r"""Compare one metric; None where there is too little.

    Welch's t and Mann-Whitney's U (`processors.stats.comparison`), with the variance of each mean
    times the inflation (1 + φ)/(1 − φ) of an AR(1), φ being the correlation of neighbours
    corrected for its bias of −(1 + 4φ)/n (Kendall, Biometrika 1954), and with as many degrees of
    freedom as there are independent values. Quantiles by order statistics, their differences by
    the recovery of variance estimates (Zou & Donner, Statistics in Medicine 2008).
    """
    if min(before.size, after.size) < FEWEST:
        return None
    values, inverse = np.unique(np.concatenate((before, after)), return_inverse=True)
    counts = [
        np.bincount(part, minlength=values.size).astype(np.float64)
        for part in (inverse[: before.size], inverse[before.size :])
    ]
    inflation = (inflated(before), inflated(after))
    told = compare(values, counts[0], counts[1], inflation)
    if told is None:
        return None
    mean = float(before.mean())
    p = min(1.0, 2.0 * min(told.welch_p, told.mann_whitney_p))
    sizes = (before.size / inflation[0], after.size / inflation[1])
    return Beside(
        name=name,
        outcome=Outcome.INCONCLUSIVE,
        before_n=before.size,
        after_n=after.size,
        before=mean,
        after=float(after.mean()),
        difference=told.difference,
        relative=told.difference.value / abs(mean) if mean else None,
        effect=told.effect,
        superiority=told.superiority,
        welch_p=told.welch_p,
        mann_whitney_p=told.mann_whitney_p,
        p=p,
        adjusted_p=p,
        inflation=inflation,
        quantiles=tuple(_quantile(q, before, after, sizes) for q in quantiles),
    )


def inflated(values: Floats) -> float:
    """By how much autocorrelation inflates the variance of the mean of *values* [n]: at least 1."""
    return float(inflation_by(autocorrelation(values, 1)[1:], values.size)[0])


def inflation_by(first: Floats, n: int) -> Floats:
    """The same by the correlations [r] of neighbours in series of *n* values: [r]."""
    first = np.minimum(np.maximum(first + (1.0 + 4.0 * first) / n, 0.0), MOST)
    inflation: Floats = (1.0 + first) / (1.0 - first)
    return inflation


def negligible(difference: Interval, before: float, *, certain: bool) -> bool:
    """Whether a difference is next to nothing, by its whole interval: less, where it is certain."""
    little = (LEAST if certain else LITTLE) * abs(before)
    return max(abs(difference.low), abs(difference.high)) <= little


def _outcome(each: Beside, p: float, good: Good | None, alpha: float) -> Outcome:
    if negligible(each.difference, each.before, certain=p <= alpha):
        return Outcome.ALIKE
    if p > alpha:
        return Outcome.INCONCLUSIVE
    by_mean = each.welch_p <= each.mann_whitney_p
    higher = each.difference.value > 0.0 if by_mean else each.superiority.value > 0.5
    if good is None or good is Good.NEITHER:
        return Outcome.HIGHER if higher else Outcome.LOWER
    return Outcome.BETTER if higher == (good is Good.UP) else Outcome.WORSE


def _quantile(q: float, before: Floats, after: Floats, sizes: tuple[float, float]) -> Quantile:
    (a, a_low, a_high), (b, b_low, b_high) = (
        _ordered(q, x, n) for x, n in zip((before, after), sizes, strict=True)
    )
    low = b - a - math.hypot(b - b_low, a_high - a)
    high = b - a + math.hypot(b_high - b, a - a_low)
    return Quantile(q, a, b, Interval(b - a, low, high))


def _ordered(q: float, values: Floats, independent: float) -> Interval:
    """A quantile and its interval between order statistics (Woodruff, JASA 1952)."""
    reach = float(special.ndtri((1.0 + LEVEL) / 2.0)) * math.sqrt(q * (1.0 - q) / independent)
    found = np.quantile(values, np.clip([q, q - reach, q + reach], 0.0, 1.0)).tolist()
    return Interval(*found)

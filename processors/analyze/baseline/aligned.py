"""A stretch of time beside the same hours of the week of a baseline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from processors.analyze.baseline.stored import Baseline
from processors.analyze.samples import FEWEST, inflation_by
from processors.analyze.season import autocorrelation
from processors.stats.comparison import LEVEL, Interval
from processors.stats.ranks import ranks

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HOUR = 3_600_000  # ms
WEEK = 168  # hours


@dataclass(frozen=True, slots=True)
class Aligned:
    """Values less what the baseline had in the same hours of the week."""

    hours: int  # that both have
    before: float  # mean of the baseline over these hours
    after: float
    difference: Interval  # after − before
    relative: float | None  # by the baseline's; None where that is 0
    t_p: float  # two-sided, of no difference
    wilcoxon_p: float  # the same of ranks
    p: float  # twice the smaller of both, at most 1


def aligned(baseline: Baseline, times: Ints, values: Floats) -> Aligned | None:
    """Compare values with the same hours of the week, UTC, of a baseline.

    Each hour of the values is one number, its mean, less the mean of all hours of the baseline
    with the same place in the week. The differences are tested against 0: by Student's t with the
    variance of their mean inflated by autocorrelation (`inflated`), and by Wilcoxon's signed ranks
    (Wilcoxon, Biometrics Bulletin 1945), normally approximated and inflated alike.

    Args:
        baseline: What to compare with.
        times: ms, rising [n].
        values: [n]; those that are not finite are left out.

    Returns:
        None where fewer than eight hours are in both, or all differences are the same.
    """
    known = np.isfinite(values)
    hours, means = _hourly(times[known], values[known])
    past, past_means = _hourly(
        np.array(baseline.times, dtype=np.int64), np.array(baseline.values, dtype=np.float64)
    )
    total = np.bincount(past % WEEK, weights=past_means, minlength=WEEK)
    count = np.bincount(past % WEEK, minlength=WEEK)
    usual = np.divide(total, count, out=np.full(WEEK, np.nan), where=count > 0)
    return alongside(usual[hours % WEEK][None], means[None])[0]


def alongside(usual: Floats, values: Floats) -> list[Aligned | None]:
    """`aligned` of several metrics at once.

    Args:
        usual: [r, n], what the baseline of each has in the same hours of the week; NaN for nothing.
        values: [r, n], the means of hours, rising; NaN for nothing.
    """
    found: list[Aligned | None] = [None] * len(usual)
    both = np.isfinite(usual) & np.isfinite(values)
    counts = both.sum(axis=1)
    for n in np.unique(counts[counts >= FEWEST]).tolist():
        which = np.flatnonzero(counts == n)
        there = both[which]
        before = usual[which][there].reshape(-1, n)
        apart = values[which][there].reshape(-1, n) - before
        least = 1e-12 * np.maximum(1.0, np.abs(apart).max(axis=1))
        differ = np.ptp(apart, axis=1) > least
        rows = _differences(before[differ], apart[differ])
        for i, each in zip(which[differ].tolist(), rows, strict=True):
            found[i] = each
    return found


def _differences(usual: Floats, apart: Floats) -> list[Aligned]:
    """Of series [r, n] that all have n values, none of them constant."""
    n = apart.shape[1]
    first = autocorrelation(apart, 1)[:, 1]
    inflation = inflation_by(first, n)
    independent = n / inflation
    difference = apart.mean(axis=1)
    error = np.sqrt(apart.var(axis=1, ddof=1) / independent)
    freedom = np.maximum(independent - 1.0, 1.0)
    wide = special.stdtrit(freedom, (1.0 + LEVEL) / 2.0) * error
    t_p = 2.0 * special.stdtr(freedom, -np.abs(difference) / error)
    # Σ ± rank has the variance Σ rank² under the null, ties included; zeros say nothing.
    zeros = (apart == 0.0).sum(axis=1, keepdims=True)
    signed = (ranks(np.abs(apart)) - zeros) * np.sign(apart)
    z = np.abs(signed.sum(axis=1)) / np.sqrt((signed * signed).sum(axis=1) * inflation)
    wilcoxon_p = 2.0 * special.stdtr(freedom, -z)
    before = usual.mean(axis=1)
    p = np.minimum(1.0, 2.0 * np.minimum(t_p, wilcoxon_p))
    columns = (before, difference, wide, t_p, wilcoxon_p, p)
    return [
        Aligned(
            hours=n,
            before=level,
            after=level + shift,
            difference=Interval(shift, shift - reach, shift + reach),
            relative=shift / abs(level) if level else None,
            t_p=by_t,
            wilcoxon_p=by_ranks,
            p=each,
        )
        for level, shift, reach, by_t, by_ranks, each in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]


def _hourly(times: Ints, values: Floats) -> tuple[Ints, Floats]:
    """The hours since the epoch with a value, rising, and the mean of each."""
    hours, inverse = np.unique(times // HOUR, return_inverse=True)
    means: Floats = np.bincount(inverse, weights=values) / np.bincount(inverse)
    return hours.astype(np.int64), means

"""A stretch of time beside the same hours of the week of a baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from processors.analyze.baseline.stored import Baseline
from processors.analyze.samples import FEWEST, LEVEL, inflated
from processors.stats.comparison import Interval
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
    usual = np.divide(total, count, out=np.full(WEEK, np.nan), where=count > 0)[hours % WEEK]
    both = np.isfinite(usual)
    apart = (means - usual)[both]
    n = apart.size
    if n < FEWEST or float(np.ptp(apart)) <= 1e-12 * max(1.0, float(np.abs(apart).max())):
        return None
    inflation = inflated(apart)
    independent = n / inflation
    difference = float(apart.mean())
    error = math.sqrt(float(apart.var(ddof=1)) / independent)
    freedom = max(independent - 1.0, 1.0)
    wide = float(special.stdtrit(freedom, (1.0 + LEVEL) / 2.0)) * error
    t_p = 2.0 * float(special.stdtr(freedom, -abs(difference) / error))
    # Σ ± rank has the variance Σ rank² under the null, ties included; zeros say nothing.
    signed = ranks(np.abs(apart[apart != 0.0])) * np.sign(apart[apart != 0.0])
    z = abs(float(signed.sum())) / math.sqrt(float(signed @ signed) * inflation)
    wilcoxon_p = 2.0 * float(special.stdtr(freedom, -z))
    before = float(usual[both].mean())
    return Aligned(
        hours=n,
        before=before,
        after=before + difference,
        difference=Interval(difference, difference - wide, difference + wide),
        relative=difference / abs(before) if before else None,
        t_p=t_p,
        wilcoxon_p=wilcoxon_p,
        p=min(1.0, 2.0 * min(t_p, wilcoxon_p)),
    )


def _hourly(times: Ints, values: Floats) -> tuple[Ints, Floats]:
    """The hours since the epoch with a value, rising, and the mean of each."""
    hours, inverse = np.unique(times // HOUR, return_inverse=True)
    means: Floats = np.bincount(inverse, weights=values) / np.bincount(inverse)
    return hours.astype(np.int64), means

"""Does a series rise or fall, whatever its shape, by more than chance?"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from processors.analyze.season import autocorrelation
from processors.stats.ranks import ranks

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FEWEST = 8  # values
AT_ONCE = 500_000  # pairs whose slopes are held at a time
MARKS = (0.0, 0.375, 0.625, 1.0)  # places brought into order, for what lies between
SURE = 1.96  # deviations from which a correlation counts


class MannKendall(NamedTuple):
    """A test, and the slope that goes with it."""

    s: float  # how many more pairs rise than fall
    p: float  # two-sided, corrected for ties and autocorrelation
    slope: float  # the median of all pairs' slopes, for each unit of time
    low: float  # of its interval
    high: float
    inflation: float  # of the variance, by autocorrelation; at least 1


def mann_kendall(times: Floats, values: Floats, level: float = 0.95) -> MannKendall:
    r"""Test a series for a trend, and estimate its slope.

    S counts the pairs that rise less those that fall; its variance is

        (n(n−1)(2n+5) − Σ_ties t(t−1)(2t+5)) / 18

    (Mann, Econometrica 1945; Kendall, "Rank correlation methods", 1955), times the inflation by
    autocorrelation

        1 + 2/(n(n−1)(n−2)) Σ_k (n−k)(n−k−1)(n−k−2) ρ_k,

    with ρ_k the correlation, k apart, of the ranks of what the slope leaves, where it is beyond
    chance (Hamed & Rao, "A modified Mann-Kendall trend test for autocorrelated data", J. Hydrology
    1998). Taking a slope off makes what is left look less correlated than it was, so the inflation
    is no less than that of an AR(1) with the first correlation, corrected for its bias of
    −(2 + 4ρ)/n (Sawa, J. Econometrics 1978, of a series about a line); and S is taken for
    Student's with as many degrees as there are independent values, n/inflation, but two. The slope
    is the median of all pairs', its interval between order statistics by the deviation of S (Sen,
    JASA 1968).

    Args:
        times: [n], rising.
        values: [n], at least 8.
        level: Of the slope's interval.

    Raises:
        ValueError: Fewer than eight values.
    """
    return mann_kendalls(times, values[None], level)[0]


def mann_kendalls(times: Floats, values: Floats, level: float = 0.95) -> list[MannKendall]:
    """`mann_kendall` of each of several series [r, n] of the same times.

    Raises:
        ValueError: Fewer than eight values.
    """
    n = times.size
    if n < FEWEST:
        raise ValueError(f"a trend needs at least {FEWEST} values, got {n}")
    some = max(1, AT_ONCE // (n * (n - 1) // 2))
    blocks = (values[i : i + some] for i in range(0, len(values), some))
    return [each for block in blocks for each in _tested(times, block, level)]


def _tested(times: Floats, values: Floats, level: float) -> list[MannKendall]:
    n = times.size
    early, late = _pairs(n)
    apart = times[late] - times[early]
    middle = np.array([(apart.size - 1) // 2, apart.size // 2])
    marks = np.unique(np.concatenate((middle, (np.array(MARKS) * (apart.size - 1)).astype(int))))
    variances = _variances(values)
    s, middles, slopes = np.empty(len(values)), np.empty(len(values)), []
    for i, row in enumerate(values):
        rises = np.take(row, late) - np.take(row, early)
        s[i] = np.count_nonzero(rises > 0.0) - np.count_nonzero(rises < 0.0)
        slopes.append(np.partition(rises / apart, marks))
        middles[i] = slopes[i][middle].mean()
    inflation = _inflation(values - middles[:, None] * times)
    deviation = np.sqrt(variances * inflation)
    freedom = np.maximum(n / inflation - 2.0, 1.0)
    z = np.maximum(np.abs(s) - 1.0, 0.0) / np.where(deviation > 0.0, deviation, 1.0)
    p = 2.0 * special.stdtr(freedom, -z)
    reach = special.stdtrit(freedom, (1.0 + level) / 2.0) * deviation
    found = []
    for i, each in enumerate(slopes):
        if variances[i] <= 0.0:
            found.append(MannKendall(0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
            continue
        wide = float(reach[i])
        ends = (each.size - wide) / 2.0 - 1.0, (each.size + wide) / 2.0
        low, high = (_at(each, marks, end) for end in ends)
        found.append(
            MannKendall(float(s[i]), float(p[i]), float(middles[i]), low, high, float(inflation[i]))
        )
    return found


@lru_cache(maxsize=8)
def _pairs(n: int) -> tuple[Ints, Ints]:
    """The earlier and the later of each two of n values."""
    early, late = np.triu_indices(n, 1)
    return early, late


def _variances(values: Floats) -> Floats:
    """The variance of S of each series [r, n], ties included, if its values were independent."""
    n = values.shape[1]
    whole = np.full(len(values), n * (n - 1.0) * (2.0 * n + 5.0))
    ordered = np.sort(values, axis=1)
    for i in np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1)).tolist():
        _, ties = np.unique(values[i], return_counts=True)
        whole[i] -= float((ties * (ties - 1.0) * (2.0 * ties + 5.0)).sum())
    return whole / 18.0


def _at(slopes: Floats, marks: Ints, place: float) -> float:
    """The value at a place of *slopes*, if they were sorted; it may lie between two.

    Args:
        slopes: In order at the *marks*, which have the first and the last, and about them.
        marks: Rising.
        place: Taken to be within.
    """
    place = min(max(place, 0.0), slopes.size - 1.0)
    below = int(place)
    above = min(below + 1, slopes.size - 1)
    start = int(marks[np.searchsorted(marks, below, side="right") - 1])
    end = int(marks[np.searchsorted(marks, above)]) + 1
    part = np.partition(slopes[start:end], (below - start, above - start))
    first, second = float(part[below - start]), float(part[above - start])
    return first + (place - below) * (second - first)


def _inflation(rest: Floats) -> Floats:
    """Of the variance of S, by the autocorrelation of each of *rest* [r, n]."""
    n = rest.shape[1]
    correlations = autocorrelation(ranks(rest), n // 2)[:, 1:]
    k = np.arange(1, n // 2 + 1)
    weights = 2.0 * (n - k) * (n - k - 1.0) * (n - k - 2.0) / (n * (n - 1.0) * (n - 2.0))
    counted = np.where(np.abs(correlations) > SURE / math.sqrt(n), correlations, 0.0)
    first = np.minimum(correlations[:, 0] + (2.0 + 4.0 * correlations[:, 0]) / n, 0.98)
    fading = np.maximum(first, 0.0)[:, None] ** k
    by_lags, by_first = (1.0 + (each * weights).sum(axis=1) for each in (counted, fading))
    found: Floats = np.maximum(1.0, np.maximum(by_lags, by_first))
    return found

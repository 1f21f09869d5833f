"""Does a series rise or fall, whatever its shape, by more than chance?"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from processors.analyze.season import autocorrelation
from processors.stats.ranks import ranks

Floats = npt.NDArray[np.float64]

FEWEST = 8  # values
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
    n = values.size
    if n < FEWEST:
        raise ValueError(f"a trend needs at least {FEWEST} values, got {n}")
    early, late = np.triu_indices(n, 1)
    rises = values[late] - values[early]
    s = float(np.sign(rises).sum())
    slopes = np.sort(rises / (times[late] - times[early]))
    slope = float(np.median(slopes))
    _, ties = np.unique(values, return_counts=True)
    variance = n * (n - 1.0) * (2.0 * n + 5.0)
    variance = (variance - float((ties * (ties - 1.0) * (2.0 * ties + 5.0)).sum())) / 18.0
    if variance <= 0.0:
        return MannKendall(0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    inflation = _inflation(values - slope * times)
    deviation = math.sqrt(variance * inflation)
    freedom = max(n / inflation - 2.0, 1.0)
    z = max(abs(s) - 1.0, 0.0) / deviation
    reach = float(special.stdtrit(freedom, (1.0 + level) / 2.0)) * deviation
    at = np.array([(slopes.size - reach) / 2.0 - 1.0, (slopes.size + reach) / 2.0])
    low, high = np.interp(at, np.arange(slopes.size), slopes).tolist()
    return MannKendall(s, 2.0 * float(special.stdtr(freedom, -z)), slope, low, high, inflation)


def _inflation(rest: Floats) -> float:
    n = rest.size
    correlations = autocorrelation(ranks(rest), n // 2)[1:]
    k = np.arange(1, n // 2 + 1)
    weights = 2.0 * (n - k) * (n - k - 1.0) * (n - k - 2.0) / (n * (n - 1.0) * (n - 2.0))
    counted = np.where(np.abs(correlations) > SURE / math.sqrt(n), correlations, 0.0)
    first = min(float(correlations[0] + (2.0 + 4.0 * correlations[0]) / n), 0.98)
    fading = np.maximum(first, 0.0) ** k
    by_lags, by_first = 1.0 + float(weights @ counted), 1.0 + float(weights @ fading)
    return max(1.0, by_lags, by_first)

"""Which metrics go together, and which of them goes first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import special

from processors.analyze.samples import MOST
from processors.analyze.season import autocorrelation
from processors.analyze.several import holm
from processors.stats.ranks import ranks

Floats = npt.NDArray[np.float64]

FEWEST = 12  # pairs of values
LEAST_FREE = 1.0  # degrees of freedom


@dataclass(frozen=True, slots=True)
class Correlation:
    """How two metrics go together."""

    first: str
    second: str
    lag: int  # steps by which *second* follows; negative where it goes first
    rho: float  # Spearman's, at that lag
    independent: float  # how many pairs they are worth
    p: float  # of no correlation at any lag
    adjusted_p: float  # for all pairs of metrics together (Holm)


def correlations(series: Mapping[str, Floats], most_lag: int = 0) -> list[Correlation]:
    """Correlate each two metrics, at the lag at which they go together best.

    Args:
        series: By metric, values at the same even times [n]; NaN where there is none.
        most_lag: Steps that one may follow the other by.

    Returns:
        The strongest evidence first; pairs with fewer than twelve common values at every lag, and
        constants, are left out.

    Raises:
        ValueError: Series of different lengths, or a negative lag.
    """
    if most_lag < 0:
        raise ValueError(f"most_lag must not be negative, got {most_lag}")
    if len({values.size for values in series.values()}) > 1:
        raise ValueError("all series must have the same times")
    found = [
        each
        for first, second in combinations(series, 2)
        if (each := _best(first, second, series[first], series[second], most_lag)) is not None
    ]
    adjusted = holm(np.array([each.p for each in found]))
    told = [replace(each, adjusted_p=p) for each, p in zip(found, adjusted.tolist(), strict=True)]
    return sorted(told, key=lambda each: (each.p, -abs(each.rho)))


def _best(first: str, second: str, x: Floats, y: Floats, most_lag: int) -> Correlation | None:
    best: Correlation | None = None
    lags = sorted(range(-most_lag, most_lag + 1), key=lambda lag: (abs(lag), lag))
    for lag in lags:
        early = x[: x.size - lag] if lag >= 0 else x[-lag:]
        late = y[lag:] if lag >= 0 else y[: y.size + lag]
        there = np.isfinite(early) & np.isfinite(late)
        if int(there.sum()) < FEWEST:
            continue
        rho, independent, p = spearman(early[there], late[there])
        if best is None or p < best.p:
            best = Correlation(first, second, lag, rho, independent, p, p)
    if best is None or not best.independent:
        return None
    p = min(1.0, best.p * len(lags))
    return replace(best, p=p, adjusted_p=p)


def spearman(x: Floats, y: Floats) -> tuple[float, float, float]:
    r"""Spearman's ρ of two series, how many pairs they are worth, and the p of no correlation.

    Neighbours in time resemble each other, so that n pairs are worth about

        n (1 − φ_x φ_y) / (1 + φ_x φ_y)

    (Bartlett, JRSS 1935, for AR(1)), with the first correlations of the ranks, corrected for their
    bias; ρ is tested by Student's t with as many degrees of freedom less two.

    Args:
        x: [n], in the order of time.
        y: [n].

    Returns:
        ρ, the pairs, p; zeros and 1 where one of them is constant.
    """
    a, b = ranks(x), ranks(y)
    if float(np.ptp(a)) == 0.0 or float(np.ptp(b)) == 0.0:
        return 0.0, 0.0, 1.0
    rho = float(np.corrcoef(a, b)[0, 1])
    both = _first(a) * _first(b)
    independent = a.size * (1.0 - both) / (1.0 + both)
    freedom = max(independent - 2.0, LEAST_FREE)
    t = abs(rho) * math.sqrt(freedom / max(1.0 - rho * rho, 1e-12))
    return rho, independent, 2.0 * float(special.stdtr(freedom, -t))


def _first(ranks: Floats) -> float:
    first = float(autocorrelation(ranks, 1)[1])
    return min(max(first + (1.0 + 4.0 * first) / ranks.size, 0.0), MOST)

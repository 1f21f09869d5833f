"""Where a series will be, with intervals that its own past errors give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from processors.analyze.season import period_of

Floats = npt.NDArray[np.float64]

FEWEST = 20  # values
CYCLES = 3  # earlier periods whose mean is what a point is expected to be
RECENT = 24  # values whose mean that is where nothing repeats
MOST = 8_192  # newest values that are looked at
TAIL = 400  # newest origins whose errors count
RIDGE = 5.0  # origins' worth of the belief that the last deviation says nothing


@dataclass(frozen=True, slots=True)
class Forecast:
    """Values to come, and between what they will lie."""

    period: int | None  # after how many points the series was taken to repeat
    mean: Floats  # [h]
    low: Floats  # [h]
    high: Floats  # [h]
    level: float  # the part of values that the intervals are to hold


def forecast(
    values: Floats, horizon: int, level: float = 0.9, period: int | None = None
) -> Forecast:
    """Forecast the next *horizon* values, at least 1 and at most half of those there are.

    See `ahead`, of which these are the steps 1 to *horizon*.
    """
    return ahead(values, range(1, horizon + 1), level, period)


def ahead(
    values: Floats, steps: Sequence[int], level: float = 0.9, period: int | None = None
) -> Forecast:
    r"""Forecast the values some *steps* ahead.

    A point is expected where the means of the same phase of the last three periods are (of the last
    24 values, where nothing repeats), moved by what the newest value and the mean of the last
    period (the last 24) lie off theirs; by how much of each is learnt from the past, for each step
    ahead, by ridge regression towards nothing. The interval is [mean + q_low, mean + q_high] with
    the quantiles (1 ∓ level)/2 of the errors that the same forecast made from earlier points, each
    in units of how wildly the series moved by then (split conformal prediction: Lei, G'Sell,
    Rinaldo, Tibshirani & Wasserman, "Distribution-free predictive inference for regression", JASA
    2018, with normalized scores; the newest errors only, since traffic changes), wider where few of
    them are independent. What was never negative is not forecast to be.

    Args:
        values: [n], at least 20, evenly spaced.
        steps: [h], how many values ahead each lies, rising, at least 1, at most n/2.
        level: Of the intervals, between 0 and 1, exclusive.
        period: After how many points the series repeats; found when not given.

    Raises:
        ValueError: Too few values, or none ahead, or no level.
    """
    if values.size < FEWEST:
        raise ValueError(f"a forecast needs at least {FEWEST} values, got {values.size}")
    values = values[-MOST:]
    if not steps or not 1 <= steps[0] <= steps[-1] <= values.size // 2 or not 0.0 < level < 1.0:
        raise ValueError(
            "horizon must be at least 1 and at most half of the values, "
            "and level between 0 and 1, exclusive"
        )
    period = period_of(values) if period is None else period
    if period is not None and values.size < 2 * period + FEWEST // 2:
        period = None
    wild = _wildness(values)
    mean, low, high = np.empty(len(steps)), np.empty(len(steps)), np.empty(len(steps))
    for i, h in enumerate(steps):
        mean[i], errors = _ahead(values, h, period, wild)
        n = errors.size
        scale = wild[-1] * _unsure(1.0 + n / (2.0 * h), level)
        rank = np.clip(np.array([(1.0 - level) / 2.0, (1.0 + level) / 2.0]), 0.0, 1.0)
        # Of n errors and the one to come, each order is as likely: ranks are those of n + 1.
        at = np.clip(rank * (n + 1) - 1.0, 0.0, n - 1.0)
        low[i], high[i] = mean[i] + scale * np.interp(at, np.arange(n), np.sort(errors))
    if float(values.min()) >= 0.0:
        mean, low, high = (np.maximum(each, 0.0) for each in (mean, low, high))
    return Forecast(period, mean, low, high, level)


def _unsure(independent: float, level: float) -> float:
    """How much wider an interval from so few errors must be: Student's quantile by the normal's.

    Errors h ahead overlap: those of two origins tell apart when they are some 2h from each other.
    """
    upper = (1.0 + level) / 2.0
    return float(special.stdtrit(independent, upper) / special.ndtri(upper))


def _ahead(values: Floats, h: int, period: int | None, wild: Floats) -> tuple[float, Floats]:
    """The forecast h values ahead, and the scaled errors of those from earlier origins."""
    n = values.size
    first, last = _expected(values, h, period), _expected(values, 0, period)
    away = values - last  # of each origin, off what it was expected to be
    slow = _moving(away, period or RECENT)
    begin = int(np.flatnonzero(np.isfinite(first) & np.isfinite(slow))[0])
    origins = np.arange(min(begin, n - h - FEWEST // 2), n - h)
    origins = origins[origins >= 0]
    features = np.nan_to_num(np.column_stack((away, slow - away)))
    target = values[origins + h] - first[origins]
    known = np.isfinite(target)
    origins, target = origins[known], target[known]
    scaled = features[origins] / wild[origins, None]
    goal = target / wild[origins]
    size = float(np.mean(scaled**2)) or 1.0
    gram = scaled.T @ scaled + RIDGE * size * np.eye(2)
    weights = np.linalg.solve(gram, scaled.T @ goal)
    errors = (goal - scaled @ weights)[-TAIL:]
    return float(first[-1] + features[-1] @ weights), errors


def _expected(values: Floats, h: int, period: int | None) -> Floats:
    """For each origin t, what the value at t + h is expected to be by those up to t: [n].

    Of h = 0, what the one at t was, by those before it.
    """
    n = values.size
    if period is None:
        means = _moving(values, RECENT)
        return np.concatenate(([np.nan], means[:-1])) if h == 0 else means
    steps = max(1, -(-h // period))
    total, count = np.zeros(n), np.zeros(n)
    for cycle in range(steps, steps + CYCLES):
        back = cycle * period - h  # before the origin
        if back < n:
            total[back:] += values[: n - back]
            count[back:] += 1.0
    expected: Floats = np.divide(total, count, out=np.full(n, np.nan), where=count > 0)
    return expected


def _moving(values: Floats, width: int) -> Floats:
    """The mean of the last *width* values, of those that there are: [n], NaN before the first."""
    there = np.isfinite(values)
    total = np.cumsum(np.where(there, values, 0.0))
    count = np.cumsum(there, dtype=np.float64)
    total[width:], count[width:] = total[width:] - total[:-width], count[width:] - count[:-width]
    means: Floats = np.divide(total, count, out=np.full(values.size, np.nan), where=count > 0)
    return means


def _wildness(values: Floats) -> Floats:
    """How much the series moved from value to value lately, at each origin: [n], above 0."""
    steps = np.abs(np.diff(values, prepend=values[0]))
    whole = float(steps.mean()) or 1.0
    lately = np.nan_to_num(_moving(steps, 2 * RECENT))
    return 0.5 * (lately + whole)

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
    _check(values.size, steps, level)
    values = values[-MOST:]
    return aheads(values[None], steps, level, period_of(values) if period is None else period)[0]


def aheads(
    values: Floats, steps: Sequence[int], level: float, period: int | None
) -> list[Forecast]:
    """`ahead` of each of several series [r, n] that repeat after the same period, or do not.

    Raises:
        ValueError: as `ahead`.
    """
    _check(values.shape[1], steps, level)
    values = np.ascontiguousarray(values[:, -MOST:])
    if period is not None and values.shape[1] < 2 * period + FEWEST // 2:
        period = None
    wild = _wildness(values)
    mean, low, high = (np.empty((len(values), len(steps))) for _ in range(3))
    for i, h in enumerate(steps):
        mean[:, i], errors = _ahead(values, h, period, wild)
        n = errors.shape[1]
        scale = wild[:, -1] * _unsure(1.0 + n / (2.0 * h), level)
        # Of n errors and the one to come, each order is as likely: ranks are those of n + 1.
        errors = np.sort(errors, axis=1)
        low[:, i], high[:, i] = (
            mean[:, i] + scale * _at(errors, rank * (n + 1) - 1.0)
            for rank in ((1.0 - level) / 2.0, (1.0 + level) / 2.0)
        )
    positive = values.min(axis=1) >= 0.0
    for each in (mean, low, high):
        each[positive] = np.maximum(each[positive], 0.0)
    return [Forecast(period, *row, level) for row in zip(mean, low, high, strict=True)]


def _check(n: int, steps: Sequence[int], level: float) -> None:
    if n < FEWEST:
        raise ValueError(f"a forecast needs at least {FEWEST} values, got {n}")
    most = min(n, MOST) // 2
    if not steps or not 1 <= steps[0] <= steps[-1] <= most or not 0.0 < level < 1.0:
        raise ValueError(
            "horizon must be at least 1 and at most half of the values, "
            "and level between 0 and 1, exclusive"
        )


def _at(rows: Floats, place: float) -> Floats:
    """The values of *rows* [r, n] at a place that may lie between two: [r]."""
    place = min(max(place, 0.0), rows.shape[1] - 1.0)
    below = int(place)
    above = min(below + 1, rows.shape[1] - 1)
    found: Floats = rows[:, below] + (place - below) * (rows[:, above] - rows[:, below])
    return found


def _unsure(independent: float, level: float) -> float:
    """How much wider an interval from so few errors must be: Student's quantile by the normal's.

    Errors h ahead overlap: those of two origins tell apart when they are some 2h from each other.
    """
    upper = (1.0 + level) / 2.0
    return float(special.stdtrit(independent, upper) / special.ndtri(upper))


def _ahead(values: Floats, h: int, period: int | None, wild: Floats) -> tuple[Floats, Floats]:
    """The forecasts [r] h values ahead, and the scaled errors [r, m] of those from before.

    Where something is not known yet depends on the period alone, so that it is so in all rows.
    """
    n = values.shape[1]
    first, last = _expected(values, h, period), _expected(values, 0, period)
    away = values - last  # of each origin, off what it was expected to be
    slow = _moving(away, period or RECENT)
    begin = int(np.flatnonzero(np.isfinite(first[0]) & np.isfinite(slow[0]))[0])
    origins = np.arange(max(min(begin, n - h - FEWEST // 2), 0), n - h)
    origins = origins[np.isfinite(first[0, origins])]
    now, change = np.nan_to_num(away), np.nan_to_num(slow - away)
    # `take` keeps rows in one piece, so that sums along them do not hang on how many there are.
    scale, expected = np.take(wild, origins, axis=1), np.take(first, origins, axis=1)
    a, b = np.take(now, origins, axis=1) / scale, np.take(change, origins, axis=1) / scale
    goal = (np.take(values, origins + h, axis=1) - expected) / scale
    # Ridge regression of the goal on both, with the 2 × 2 inverse written out.
    aa, bb, ab = (a * a).sum(axis=1), (b * b).sum(axis=1), (a * b).sum(axis=1)
    size = (aa + bb) / (2.0 * origins.size)
    ridge = RIDGE * np.where(size > 0.0, size, 1.0)
    ag, bg = (a * goal).sum(axis=1), (b * goal).sum(axis=1)
    whole = (aa + ridge) * (bb + ridge) - ab * ab
    x, y = ((bb + ridge) * ag - ab * bg) / whole, ((aa + ridge) * bg - ab * ag) / whole
    errors = (goal - a * x[:, None] - b * y[:, None])[:, -TAIL:]
    return first[:, -1] + now[:, -1] * x + change[:, -1] * y, errors


def _expected(values: Floats, h: int, period: int | None) -> Floats:
    """For each origin t, what the value at t + h is expected to be by those up to t: [r, n].

    Of h = 0, what the one at t was, by those before it.
    """
    n = values.shape[1]
    if period is None:
        means = _moving(values, RECENT)
        if h == 0:
            means[:, 1:], means[:, 0] = means[:, :-1].copy(), np.nan
        return means
    steps = max(1, -(-h // period))
    total, count = np.zeros(values.shape), np.zeros(n)
    for cycle in range(steps, steps + CYCLES):
        back = cycle * period - h  # before the origin
        if back < n:
            total[:, back:] += values[:, : n - back]
            count[back:] += 1.0
    expected: Floats = np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
    return expected


def _moving(values: Floats, width: int) -> Floats:
    """The mean of the last *width* values, of those that there are: [r, n], NaN before the first.

    What is missing is so in all rows.
    """
    there = np.isfinite(values[0])
    total = np.cumsum(np.where(there, values, 0.0), axis=1)
    count = np.cumsum(there, dtype=np.float64)
    total[:, width:] = total[:, width:] - total[:, :-width]
    count[width:] = count[width:] - count[:-width]
    means: Floats = np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
    return means


def _wildness(values: Floats) -> Floats:
    """How much the series moved from value to value lately, at each origin: [r, n], above 0."""
    steps = np.abs(np.diff(values, axis=1, prepend=values[:, :1]))
    whole = steps.mean(axis=1, keepdims=True)
    whole = np.where(whole > 0.0, whole, 1.0)
    lately = np.nan_to_num(_moving(steps, 2 * RECENT))
    return 0.5 * (lately + whole)

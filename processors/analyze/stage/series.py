"""The metrics of many pasts as numbers, all at once; none hangs on the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.analyze.change_points.noise import noises
from processors.analyze.forecast import FEWEST, Forecast, aheads
from processors.analyze.season import decompose, periods
from processors.analyze.stage.history import Filled, Floats, filled, table
from processors.analyze.stage.policy import AnalyzePolicy, Measure, Span
from processors.analyze.trend import Trend, trends
from processors.analyze.trend.direction import TrendPolicy

Bools = npt.NDArray[np.bool_]

HOUR = 3_600_000  # ms
AT_ONCE = 256  # series, which fit into a cache; of more, one block after the other


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of a past, of which enough is known."""

    measure: Measure
    first: int  # the row of its first value
    known: int  # values that there were
    values: Floats  # [n], one a window, without gaps
    plain: Floats  # [n], the same without what repeats
    trend: Trend  # by the hour
    moved: bool  # whether its mean may have moved, see `worthwhile`
    forecast: Forecast | None  # None where it has too few values for it


@dataclass(frozen=True, slots=True)
class _Row:
    look: int
    measure: Measure
    filled: Filled
    silent: int  # windows since the last value


def series(policy: AnalyzePolicy, span: Span, pasts: Sequence[bytes]) -> list[tuple[Series, ...]]:
    """The metrics of each past of which enough is known, in the order of the policy.

    Trends are judged at `sure` by the number of metrics (Bonferroni), so that all of a look that
    are by chance are rare together.

    Args:
        policy: What is looked at.
        span: The resolution of the pasts.
        pasts: Windows, as `history` has them.
    """
    lengths: dict[int, list[_Row]] = defaultdict(list)
    for look, past in enumerate(pasts):
        cells = table(past, len(policy.measures))
        for index, measure in enumerate(policy.measures):
            one = filled(cells[:, index], span.least, policy.filled)
            if one is not None:
                silent = len(cells) - one.first - one.values.size
                lengths[one.values.size].append(_Row(look, measure, one, silent))
    found: list[dict[Measure, Series]] = [{} for _ in pasts]
    for rows in lengths.values():
        for i in range(0, len(rows), AT_ONCE):
            some = rows[i : i + AT_ONCE]
            for row, each in zip(some, _all(policy, span, some), strict=True):
                found[row.look][row.measure] = each
    return [tuple(each[m] for m in policy.measures if m in each) for each in found]


def _all(policy: AnalyzePolicy, span: Span, rows: Sequence[_Row]) -> list[Series]:
    """Of series of one length."""
    values: Floats = np.array([row.filled.values for row in rows], dtype=np.float64)
    repeats = periods(values)
    plain: Floats = values.copy()
    for i, period in enumerate(repeats):
        if period is not None:
            plain[i] = values[i] - decompose(values[i], period).season
    told = trends(
        np.arange(values.shape[1], dtype=np.float64) * (span.length / HOUR),
        values,
        plain,
        repeats,
        [row.measure.good for row in rows],
        TrendPolicy(level=1.0 - policy.sure / len(policy.measures)),
    )
    moved = worthwhile(policy, plain).tolist()
    forecasts = _forecasts(policy, span, rows, values, repeats)
    return [
        Series(
            row.measure,
            row.filled.first,
            row.filled.known,
            row.filled.values,
            plain[i],
            told[i],
            moved[i],
            forecasts[i],
        )
        for i, row in enumerate(rows)
    ]


def worthwhile(policy: AnalyzePolicy, values: Floats) -> Bools:
    """Whether the means of *values* [r, n] may have moved: [r].

    S⁺ = max_t (C_t − min_{s ≤ t} C_s) with C the running sum of z − k, and S⁻ alike (Page,
    Biometrika 1954), of the values about their median by the long-run deviation of their noise
    (`change_points.noise`).
    """
    away = values - np.median(values, axis=1, keepdims=True)
    spread = away.std(axis=1)
    there = spread > 1e-12 * np.maximum(1.0, np.abs(values).max(axis=1))
    spread = np.where(there, spread, 1.0)
    variance, correlation = noises(away / spread[:, None], policy.segmenting.correlated)
    deviation = np.sqrt(variance * (1.0 + correlation)) / (1.0 - correlation)
    z = away / (spread * deviation)[:, None]
    moved = np.zeros(len(values), dtype=np.bool_)
    for side in (z, -z):
        total = np.cumsum(side - policy.slack, axis=1)
        lowest = np.minimum(np.minimum.accumulate(total, axis=1), 0.0)
        moved |= (total - lowest).max(axis=1) > policy.limit
    found: Bools = moved & there
    return found


def _forecasts(
    policy: AnalyzePolicy,
    span: Span,
    rows: Sequence[_Row],
    values: Floats,
    repeats: Sequence[int | None],
) -> list[Forecast | None]:
    """Those of series with enough values, by the period, and by how long nothing was heard."""
    alike: dict[tuple[int | None, int], list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        if row.filled.known >= FEWEST and values.shape[1] >= 2 * (row.silent + span.steps[-1]):
            alike[repeats[i], row.silent].append(i)
    found: list[Forecast | None] = [None] * len(rows)
    for (period, silent), which in alike.items():
        steps = [silent + each for each in span.steps]
        for i, each in zip(which, aheads(values[which], steps, policy.level, period), strict=True):
            found[i] = each
    return found

"""Which way each metric goes, and what it will be if nothing is done."""

from __future__ import annotations

import numpy as np

from processors.analyze.forecast import FEWEST, ahead
from processors.analyze.stage.history import Filled
from processors.analyze.stage.policy import Measure
from processors.analyze.stage.view import Finding, View
from processors.analyze.stage.words import amount, by, called, lasting
from processors.analyze.trend import Direction, trend
from processors.analyze.trend.direction import TrendPolicy
from schemas.insight import InsightKind

HOUR = 3_600_000  # ms
UNITS = {"1m": 1, "1h": 1, "24h": 24}  # hours that a slope is told over


def trends(view: View) -> list[Finding]:
    """The trends that count, of metrics of which enough is known.

    Each at `sure` by the number of metrics (Bonferroni), so that all of a look that are by chance
    are rare together. A trend of which nobody can tell is none.
    """
    level = TrendPolicy(level=1.0 - view.policy.sure / len(view.policy.measures))
    found = []
    for measure, series in view.series():
        one = _trend(view, measure, series, level)
        if one is not None:
            found.append(one)
    return found


def _trend(view: View, measure: Measure, series: Filled, level: TrendPolicy) -> Finding | None:
    hours = np.arange(series.values.size, dtype=np.float64) * (view.span.length / HOUR)
    told = trend(hours, series.values, measure.good, level)
    if told.direction is Direction.INCONCLUSIVE:
        return None
    metric = measure.metric.value
    middle = float(np.median(series.values))
    over, unit = UNITS[view.span.window], "an hour" if view.span.length <= HOUR else "a day"
    moves = amount(metric, over * told.slope)
    between = f"{amount(metric, over * told.low)} and {amount(metric, over * told.high)}"
    sentence = (
        f"The {called(metric)} is {told.direction.value}: {moves} {unit}, between {between}, over "
        f"{lasting(series.values.size, view.span.window)}{by(told.relative)}."
    )
    insight = view.insight(
        InsightKind.TREND,
        metric,
        "",
        value=told.slope,
        reference=middle,
        method="mann_kendall",
        sentence=sentence,
        start=view.at(series.first),
        direction=told.direction.value,
        low=told.low,
        high=told.high,
        p=told.p,
        confidence=told.confidence,
        samples=series.known,
    )
    return Finding(InsightKind.TREND, metric, "", (insight,), told.high - told.low)


def forecasts(view: View) -> list[Finding]:
    """What each metric is expected to be, some steps ahead; nothing of one that has fallen silent.

    A range is that of the newest past errors (`processors.analyze.forecast`).
    """
    found = []
    for measure, series in view.series():
        last = series.first + series.values.size - 1
        silent = len(view.cells) - 1 - last  # windows since the last value
        steps = [silent + each for each in view.span.steps]
        if series.known < FEWEST or series.values.size < 2 * steps[-1]:
            continue
        found.append(_forecast(view, measure, series, steps))
    return found


def _forecast(view: View, measure: Measure, series: Filled, steps: list[int]) -> Finding:
    metric = measure.metric.value
    told = ahead(series.values, steps, view.policy.level)
    newest = float(series.values[-1])
    insights = []
    for i, step in enumerate(view.span.steps):
        value, low, high = (float(each[i]) for each in (told.mean, told.low, told.high))
        at = view.at(len(view.cells) - 1 + step) + view.span.length
        sentence = (
            f"In {lasting(step, view.span.window)} the {called(metric)} will be "
            f"{amount(metric, value)}, with {100 * told.level:g} % between {amount(metric, low)} "
            f"and {amount(metric, high)}; now it is {amount(metric, newest)}."
        )
        insights.append(
            view.insight(
                InsightKind.FORECAST,
                metric,
                f"+{step}",
                value=value,
                reference=newest,
                method="conformal",
                sentence=sentence,
                start=view.at(series.first),
                at=at,
                direction=_way(newest, low, high),
                low=low,
                high=high,
                confidence=told.level,
                samples=series.known,
            )
        )
    wide = float(told.high[0] - told.low[0])
    return Finding(InsightKind.FORECAST, metric, "", insights, wide, insights[0].at)


def _way(now: float, low: float, high: float) -> str:
    """Where the value goes, if its whole range lies there."""
    if low > now:
        return Direction.RISING.value
    return (Direction.FALLING if high < now else Direction.INCONCLUSIVE).value

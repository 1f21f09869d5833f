"""Which way each metric goes, and what it will be if nothing is done."""

from __future__ import annotations

import numpy as np

from processors.analyze.forecast import Forecast
from processors.analyze.stage.series import HOUR, Series
from processors.analyze.stage.view import Finding, View
from processors.analyze.stage.words import amount, by, called, lasting
from processors.analyze.trend import Direction
from schemas.insight import InsightKind

UNITS = {"1m": 1, "1h": 1, "24h": 24}  # hours that a slope is told over


def trends(view: View) -> list[Finding]:
    """The trends that count, of metrics of which enough is known; none that nobody can tell."""
    return [
        _trend(view, each)
        for each in view.series
        if each.trend.direction is not Direction.INCONCLUSIVE
    ]


def _trend(view: View, series: Series) -> Finding:
    told, metric = series.trend, series.measure.metric.value
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
    return [
        _forecast(view, each, each.forecast) for each in view.series if each.forecast is not None
    ]


def _forecast(view: View, series: Series, told: Forecast) -> Finding:
    metric, newest = series.measure.metric.value, float(series.values[-1])
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

"""llmopt trend: which way the series of a file go, and where they will be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from processors.analyze import forecast as forecasts
from processors.analyze.forecast import Forecast, forecast
from processors.analyze.grid import Even, even
from processors.analyze.season import decompose
from processors.analyze.trend import Good, Trend, good_of
from processors.analyze.trend import trend as trend_of
from processors.analyze.trend.mann_kendall import FEWEST
from streams.cli import given, show
from streams.cli.cells import Floats
from streams.cli.csvfile import Table, read
from streams.cli.help import example

AHEAD, MOST_AHEAD = 0.1, 200  # part of a series that is forecast, and values, unless told


class Told(NamedTuple):
    """What is known of one column."""

    name: str
    points: Even
    trend: Trend
    ahead: Forecast | None  # None where there are too few values
    then: Floats  # times of the forecast


@click.command()
@click.argument("file", type=given.FILE)
@given.columns
@given.direction
@click.option(
    "--ahead",
    type=click.IntRange(1),
    metavar="N",
    help="Values to forecast; a tenth of them if not given.",
)
@given.plotted
@show.as_json
@example("llmopt trend latency.csv", "llmopt trend latency.csv --good down --plot trend.png")
def trend(
    file: Path,
    *,
    wanted: tuple[str, ...],
    good: str | None,
    ahead: int | None,
    plot: Path | None,
    machine: bool,
) -> None:
    """Tell which way series go, and where they will be, in FILE, a CSV with a header.

    Improving and degrading are by what is good for the column; stable is known to change by less
    than 5 % (1 % where it surely does), inconclusive may change or not. The p is that of no trend,
    whatever the shape of the noise and with its autocorrelation. The interval is to hold 90 % of
    the values.
    """
    table = read(file, wanted)
    said = list(table.repairs)
    found = [_told(table, name, good, ahead, said, only=bool(wanted)) for name in table.columns]
    known = [each for each in found if each is not None]
    if not known:
        table.series(next(iter(table.columns)), FEWEST)
    unit = given.unit_of(table.times, dated=table.dated, counted=table.time is None)
    if plot is not None:
        from streams.cli import charts  # noqa: PLC0415  # only a picture is worth matplotlib

        shown = [(e.name, e.points.times, e.points.values, e.trend, e.ahead, e.then) for e in known]
        given.save(charts.trended(table, shown, unit), plot)
    if machine:
        show.document(_document(table, known, unit, said))
        return
    given.say(table.file, said)
    show.table(
        (
            *("column", "direction", f"per {unit[0]}", "change", "p", "repeats every"),
            *("next", "90 % low", "high", "last", "90 % low", "high"),
        ),
        [_row(table, each, unit[1]) for each in known],
        empty="",
        title=f"{table.when(float(table.times[0]))} to {table.when(float(table.times[-1]))}",
    )
    if plot is not None:
        click.echo(f"\nDrawn in {plot}.")


def _told(
    table: Table, name: str, good: str | None, ahead: int | None, said: list[str], *, only: bool
) -> Told | None:
    """One column; None where it has too few values and nobody has asked for it."""
    if not only and int(np.isfinite(table.columns[name]).sum()) < FEWEST:
        said.append(f"{name!r} has fewer than {FEWEST} values: left out")
        return None
    series = table.series(name, FEWEST)
    points = even(series.times, series.values)
    if points.filled:
        said.append(f"{points.filled} steps of {name!r} have no value: on the line between others")
    if points.uneven:
        said.append(f"the times of {name!r} have no usual step: a point counts as one step")
    found = trend_of(points.times, points.values, Good(good) if good else good_of(name))
    n = points.values.size
    if n < forecasts.FEWEST:
        said.append(f"{name!r} has fewer than {forecasts.FEWEST} values: no forecast")
        return Told(name, points, found, None, np.empty(0))
    length, most = ahead or max(1, min(round(AHEAD * n), MOST_AHEAD)), min(n, forecasts.MOST) // 2
    if length > most:
        said.append(f"no more than {most} values of {name!r} can be forecast from those it has")
        length = most
    then = points.times[-1] + points.step * np.arange(1, length + 1)
    return Told(name, points, found, forecast(points.values, length), then)


def _row(table: Table, each: Told, size: float) -> tuple[object, ...]:
    found, ahead = each.trend, each.ahead
    repeats = None
    if found.period is not None:
        span = found.period * each.points.step
        repeats = given.lasting(span) if table.dated else f"{found.period} points"
    change = f"{found.change:+.4g}" if found.relative is None else f"{found.relative:+.1%}"
    last: Sequence[object] = [None] * 6
    if ahead is not None:
        ends = (0, -1)
        last = [v for i in ends for v in (ahead.mean[i], ahead.low[i], ahead.high[i])]
    slope = f"{found.slope * size:+.4g}"
    return (each.name, str(found.direction), slope, change, f"{found.p:.2g}", repeats, *last)


def _document(
    table: Table, known: Sequence[Told], unit: tuple[str, float], said: Sequence[str]
) -> dict[str, Any]:
    return {
        "file": table.file,
        "said": said,
        "unit": unit[0],
        "columns": [
            {
                "column": each.name,
                **asdict(each.trend),
                "slope": each.trend.slope * unit[1],
                "low": each.trend.low * unit[1],
                "high": each.trend.high * unit[1],
                "confidence": each.trend.confidence,
                "forecast": _ahead(table, each),
                "points": _points(each),
            }
            for each in known
        ],
    }


def _ahead(table: Table, each: Told) -> list[dict[str, Any]]:
    if each.ahead is None:
        return []
    columns = zip(
        each.then.tolist(),
        each.ahead.mean.tolist(),
        each.ahead.low.tolist(),
        each.ahead.high.tolist(),
        strict=True,
    )
    return [
        {"time": time, "at": table.when(time), "mean": mean, "low": low, "high": high}
        for time, mean, low, high in columns
    ]


def _points(each: Told) -> list[dict[str, Any]]:
    """Every point, and what it is made of where something repeats."""
    values = each.points.values
    parts = {"value": values}
    if each.trend.period is not None:
        apart = decompose(values, each.trend.period)
        parts |= {"trend": apart.trend, "season": apart.season, "rest": apart.rest}
    rows = zip(*(part.tolist() for part in parts.values()), strict=True)
    return [
        {"time": time, **dict(zip(parts, row, strict=True))}
        for time, row in zip(each.points.times.tolist(), rows, strict=True)
    ]

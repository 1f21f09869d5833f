"""llmopt changepoints: where the series of a file changed their level or their direction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from processors.analyze.change_points import Change, changes, fitted
from processors.analyze.season import deseasonalized
from streams.cli import given, show
from streams.cli.cells import Floats, Unusable
from streams.cli.csvfile import Table, read
from streams.cli.help import example

FEWEST = 10  # points: two segments
MOST_SHOWN = 6  # columns of a change in the table, and panels of a picture


@click.command()
@click.argument("file", type=given.FILE)
@given.columns
@click.option("--keep-seasons", is_flag=True, help="Take what repeats for changes, too.")
@given.plotted
@show.as_json
@example(
    "llmopt changepoints latency.csv",
    "llmopt changepoints latency.csv --column p95 --plot changes.png",
)
def changepoints(
    file: Path, *, wanted: tuple[str, ...], keep_seasons: bool, plot: Path | None, machine: bool
) -> None:
    """Find where series changed their level or direction, in FILE, a CSV with a header.

    Several columns are looked at together: a change is one of them all. What repeats, such as days
    and weeks, is taken off before. The chance is that of as much of a change anywhere in noise.
    """
    table = read(file, wanted)
    names = list(table.columns)
    times, values = _rows(table, names)
    said = list(table.repairs)
    plain, titles = (values, names) if keep_seasons else _plain(names, values, said)
    found = changes(plain)
    lines = np.array([fitted(row, found) for row in plain])
    if plot is not None:
        from streams.cli import charts  # noqa: PLC0415  # only a picture is worth matplotlib

        given.save(charts.changed(table, times, titles, plain, lines, found), plot)
    if machine:
        show.document(_document(table, times, names, values, lines, found, said))
        return
    given.say(table.file, said)
    count = "1 change" if len(found) == 1 else f"{len(found)} changes"
    together = " together" if len(names) > 1 else ""
    columns = f"{len(names)} columns" if len(names) > MOST_SHOWN else ", ".join(names)
    show.table(
        ("at", "column", "before", "after", "shift", "shift %", "slope before", "after", "chance"),
        [row for each in found for row in _told(table, times, names, each)],
        empty=f"No change in {times.size} points of {columns}{together}.",
        title=f"{count} in {times.size} points of {columns}{together}; slopes per point",
    )
    if plot is not None:
        click.echo(f"\nDrawn in {plot}.")


def _rows(table: Table, names: Sequence[str]) -> tuple[Floats, Floats]:
    """The rows in which every column has a value: times [n] and values [d, n]."""
    values = np.array([table.columns[name] for name in names])
    there = np.isfinite(values).all(axis=0)
    n = int(there.sum())
    if n >= FEWEST:
        return table.times[there], values[:, there]
    if len(names) == 1:
        table.series(names[0], FEWEST)
    raise Unusable(
        f"{table.file}: only {n} rows have a value in each of {len(names)} columns, and this needs "
        f"at least {FEWEST}; choose some with --column"
    )


def _plain(names: Sequence[str], values: Floats, said: list[str]) -> tuple[Floats, Sequence[str]]:
    """The series without their seasons, and what to write above each."""
    found, titles = [], []
    for name, row in zip(names, values, strict=True):
        plain, period = deseasonalized(row)
        if period is not None:
            said.append(f"{name!r} repeats every {period} points: taken off (see --keep-seasons)")
        found.append(plain)
        titles.append(name if period is None else f"{name} without what repeats")
    return np.array(found), titles


def _told(
    table: Table, times: Floats, names: Sequence[str], change: Change
) -> list[tuple[object, ...]]:
    """A row of the table for each column, the most moved first."""
    sides = sorted(
        zip(names, change.sides, strict=True),
        key=lambda pair: -abs(pair[1].shift) / (abs(pair[1].before) or 1.0),
    )
    if len(sides) <= MOST_SHOWN:
        sides = list(zip(names, change.sides, strict=True))
    return [
        (
            table.when(float(times[change.index])) if first else "",
            name,
            side.before,
            side.after,
            f"{side.shift:+.4g}",
            None if side.before == 0.0 else f"{side.shift / abs(side.before):+.1%}",
            side.slope_before,
            side.slope_after,
            (f"{change.p:.2g}" if change.p >= 1e-16 else "< 1e-16") if first else "",
        )
        for first, (name, side) in zip(
            [True] + [False] * len(sides), sides[:MOST_SHOWN], strict=False
        )
    ]


def _document(
    table: Table,
    times: Floats,
    names: Sequence[str],
    values: Floats,
    lines: Floats,
    found: Sequence[Change],
    said: Sequence[str],
) -> dict[str, Any]:
    segments = np.searchsorted([each.index for each in found], np.arange(times.size), side="right")
    return {
        "file": table.file,
        "columns": names,
        "said": said,
        "changes": [
            {
                "index": each.index,
                "time": float(times[each.index]),
                "at": table.when(float(times[each.index])),
                "p": each.p,
                "columns": {
                    name: {
                        "before": side.before,
                        "after": side.after,
                        "shift": side.shift,
                        "slope_before": side.slope_before,
                        "slope_after": side.slope_after,
                    }
                    for name, side in zip(names, each.sides, strict=True)
                },
            }
            for each in found
        ],
        "points": [
            {
                "time": time,
                "segment": segment,
                "values": dict(zip(names, row, strict=True)),
                "levels": dict(zip(names, level, strict=True)),
            }
            for time, segment, row, level in zip(
                times.tolist(),
                segments.tolist(),
                values.T.tolist(),
                lines.T.tolist(),
                strict=True,
            )
        ],
    }

"""llmopt changepoints: where the series of a file changed their level or their direction."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import click
import numpy as np

from processors.analyze.cause import CausePolicy, Event, causes
from processors.analyze.change_points import Change, changes, fitted
from processors.analyze.season import deseasonalized
from schemas.scope import ALL
from streams.cli import given, show
from streams.cli.cells import Floats, Unusable
from streams.cli.csvfile import Table, read, read_events
from streams.cli.help import example

FEWEST = 10  # points: two segments
MOST_SHOWN = 6  # columns of a change in the table, and panels of a picture


@click.command()
@click.argument("file", type=given.FILE)
@given.columns
@click.option("--keep-seasons", is_flag=True, help="Take what repeats for changes, too.")
@click.option(
    "--events",
    type=given.FILE,
    metavar="FILE",
    help="A CSV of what happened when, such as deployments: likely causes are told.",
)
@given.plotted
@show.as_json
@example(
    "llmopt changepoints latency.csv --events deployments.csv",
    "llmopt changepoints latency.csv --column p95 --plot changes.png",
)
def changepoints(
    file: Path,
    *,
    wanted: tuple[str, ...],
    keep_seasons: bool,
    events: Path | None,
    plot: Path | None,
    machine: bool,
) -> None:
    """Find where series changed their level or direction, in FILE, a CSV with a header.

    Several columns are looked at together: a change is one of them all. What repeats, such as days
    and weeks, is taken off before. The chance is that of as much of a change anywhere in noise. A
    likely cause is an event of the same time or shortly before, by what is believed of it.
    """
    table = read(file, wanted)
    names = list(table.columns)
    times, values = _rows(table, names)
    said = list(table.repairs)
    plain, titles = (values, names) if keep_seasons else _plain(names, values, said)
    found = changes(plain)
    lines = np.array([fitted(row, found) for row in plain])
    known = [] if events is None else read_events(events)
    likely = [_causes(times, each, known) for each in found]
    if plot is not None:
        from streams.cli import charts  # noqa: PLC0415  # only a picture is worth matplotlib

        given.save(charts.changed(table, times, titles, plain, lines, found), plot)
    if machine:
        document = _document(table, times, names, values, lines, found, said)
        for told, each in zip(document["changes"], likely, strict=True):
            told["causes"] = each
        show.document(document)
        return
    given.say(table.file, said)
    count = "1 change" if len(found) == 1 else f"{len(found)} changes"
    together = " together" if len(names) > 1 else ""
    columns = f"{len(names)} columns" if len(names) > MOST_SHOWN else ", ".join(names)
    show.table(
        ("at", "column", "before", "after", "shift", "shift %", "slope before", "after", "chance")
        + (() if events is None else ("likely cause",)),
        [
            (*row, *(() if events is None else (cause,)))
            for each, of in zip(found, likely, strict=True)
            for row, cause in zip(
                _told(table, times, names, each), chain([_first(of)], repeat("")), strict=False
            )
        ],
        empty=f"No change in {times.size} points of {columns}{together}.",
        title=f"{count} in {times.size} points of {columns}{together}; slopes per point",
    )
    if plot is not None:
        click.echo(f"\nDrawn in {plot}.")


def _causes(
    times: Floats, change: Change, events: Sequence[tuple[float, str]]
) -> list[dict[str, Any]]:
    """The events that may be the cause, the likeliest first; none without events."""
    step = float(np.median(np.diff(times)))
    happened = [Event(what, "event", ALL, round(1_000 * at)) for at, what in events]
    found = causes(
        ALL,
        round(1_000 * float(times[change.index])),
        1_000 * step,
        happened,
        1_000 * float(times[-1] - times[0] + step),
        CausePolicy(delay_ms=max(2_000 * step, CausePolicy().delay_ms)),
    )
    return [
        {
            "what": each.event.id,
            "time": each.event.at / 1_000,
            "before_s": each.before_ms / 1_000,
            "share": each.share,
            "coincidence": each.coincidence,
        }
        for each in found
    ]


def _first(likely: Sequence[dict[str, Any]]) -> str:
    """The likeliest cause for people; a dash where another cause is likelier than any."""
    if not likely or likely[0]["share"] < 0.5:
        return "–"
    return f"{likely[0]['what']} ({likely[0]['share']:.0%})"


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

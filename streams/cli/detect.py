"""llmopt detect: which values of a file its own past does not explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from processors.analyze.season import period_of
from processors.detect.plain import DETECTORS, Setting, score
from processors.detect.series import SeriesPolicy
from processors.detect.series.along import along, unseasoned
from streams.cli import given, show
from streams.cli.cells import Floats, Unusable
from streams.cli.csvfile import Series, Table, read
from streams.cli.help import example

ENSEMBLE = "ensemble"
APART = 5  # points without a word, after which a word is of another anomaly
USUAL = 60  # points before an anomaly whose middle value is told beside it
STRICT, SPAN = 6.0, 4.0  # σ of a plain detector at sensitivity 0, and how much less at 1


@dataclass(frozen=True, slots=True)
class Judged:
    """One column: each of its points with its score."""

    series: Series
    scores: Floats
    threshold: float
    period: int  # 0: nothing repeats, or it was kept

    def runs(self) -> list[tuple[int, int, int]]:
        """The anomalies: their first and last point, and the one of the highest score."""
        told = np.flatnonzero(self.scores >= self.threshold)
        runs = np.split(told, np.flatnonzero(np.diff(told) > APART) + 1) if told.size else []
        return [(int(r[0]), int(r[-1]), int(r[np.argmax(self.scores[r])])) for r in runs]

    def usual(self, first: int) -> float | None:
        """The middle of the values before an anomaly."""
        before = self.series.values[max(0, first - USUAL) : first]
        return float(np.median(before)) if before.size else None


@click.command()
@click.argument("file", type=given.FILE)
@given.columns
@click.option(
    "--detector",
    type=click.Choice([ENSEMBLE, *DETECTORS]),
    default=ENSEMBLE,
    show_default=True,
    help="What judges the values.",
)
@click.option(
    "--sensitivity",
    type=click.FloatRange(0.0, 1.0),
    default=0.5,
    show_default=True,
    help="From 0, only what is beyond doubt, to 1, whatever is odd.",
)
@click.option("--keep-seasons", is_flag=True, help="Judge what repeats like anything else.")
@given.plotted
@show.as_json
@example(
    "llmopt detect latency.csv --plot anomalies.png",
    "llmopt detect latency.csv --column p95 --detector mad --sensitivity 0.8",
)
def detect(
    file: Path,
    *,
    wanted: tuple[str, ...],
    detector: str,
    sensitivity: float,
    keep_seasons: bool,
    plot: Path | None,
    machine: bool,
) -> None:
    """Find values that their past does not explain, in FILE, a CSV with a header.

    Each value is judged by those before it only, as if it had just come. The score of the
    ensemble is in decimal digits of how unlikely the value is, that of the other detectors in
    standard deviations. What repeats, such as days, is taken out by the cycles before.
    """
    table = read(file, wanted)
    said = list(table.repairs)
    policy = SeriesPolicy(sensitivity=sensitivity)
    fewest = (policy.minimum if detector == ENSEMBLE else Setting().minimum) + 1
    names = _enough(table, fewest, wanted, said)
    found = [
        _judged(table.series(name, fewest), detector, policy, said, plain=not keep_seasons)
        for name in names
    ]
    if plot is not None:
        from streams.cli import charts  # noqa: PLC0415  # only a picture is worth matplotlib

        shown = [(e.series.name, e.series.times, e.series.values, e.runs()) for e in found]
        given.save(charts.detected(table, shown), plot)
    if machine:
        show.document(_document(table, detector, sensitivity, found, said))
        return
    given.say(table.file, said)
    points = sum(each.scores.size for each in found)
    rows = [row for each in found for row in _told(table, each)]
    count = "1 anomaly" if len(rows) == 1 else f"{len(rows)} anomalies"
    columns = ", ".join(names) if len(names) <= 6 else f"{len(names)} columns"
    show.table(
        ("from", "to", "column", "value", "usual", "score"),
        sorted(rows, key=lambda row: str(row[0])) if table.dated else rows,
        empty=f"No anomaly in {points:,} points of {columns}.",
        title=f"{count} in {points:,} points of {columns}; told from a score of "
        f"{found[0].threshold:g} on",
    )
    if plot is not None:
        click.echo(f"\nDrawn in {plot}.")


def _enough(table: Table, fewest: int, wanted: Sequence[str], said: list[str]) -> list[str]:
    """The columns that can be judged; those that nobody has asked for may be left out."""
    names = []
    for name, values in table.columns.items():
        if wanted or int(np.isfinite(values).sum()) >= fewest:
            names.append(name)
        else:
            said.append(f"{name!r} has fewer than {fewest} values: left out")
    if not names:
        raise Unusable(
            f"{table.file}: no column has {fewest} values, and so many come before the first "
            "judgement; bring more"
        )
    return names


def _judged(
    series: Series, detector: str, policy: SeriesPolicy, said: list[str], *, plain: bool
) -> Judged:
    length = (period_of(series.values) or 0) if plain else 0
    values = series.values
    if length:
        said.append(f"{series.name!r} repeats every {length} points: taken out (--keep-seasons)")
        values = unseasoned(values, length)
    if detector == ENSEMBLE:
        return Judged(series, along(policy, values[None])[0], policy.threshold, length)
    threshold = STRICT - SPAN * policy.sensitivity
    return Judged(series, score(detector, values), threshold, length)


def _told(table: Table, each: Judged) -> list[tuple[object, ...]]:
    times, values = each.series.times, each.series.values
    return [
        (
            table.when(float(times[first])),
            table.when(float(times[last])) if last > first else "",
            each.series.name,
            float(values[top]),
            each.usual(first),
            f"{each.scores[top]:.1f}",
        )
        for first, last, top in each.runs()
    ]


def _document(
    table: Table,
    detector: str,
    sensitivity: float,
    found: Sequence[Judged],
    said: Sequence[str],
) -> dict[str, Any]:
    return {
        "file": table.file,
        "said": said,
        "detector": detector,
        "sensitivity": sensitivity,
        "columns": [
            {
                "column": each.series.name,
                "threshold": each.threshold,
                "period": each.period or None,
                "anomalies": [
                    {
                        "from": table.when(float(each.series.times[first])),
                        "to": table.when(float(each.series.times[last])),
                        "first": first,
                        "last": last,
                        "value": float(each.series.values[top]),
                        "usual": each.usual(first),
                        "score": float(each.scores[top]),
                    }
                    for first, last, top in each.runs()
                ],
                "points": [
                    {"time": time, "value": value, "score": scored}
                    for time, value, scored in zip(
                        each.series.times.tolist(),
                        each.series.values.tolist(),
                        each.scores.tolist(),
                        strict=True,
                    )
                ],
            }
            for each in found
        ],
    }

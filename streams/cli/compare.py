"""llmopt compare: two files beside each other, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from processors.analyze.samples import FEWEST, Beside, beside
from processors.analyze.trend import Good, good_of
from processors.stats.comparison import Interval
from streams.cli import given, show
from streams.cli.cells import Unusable
from streams.cli.csvfile import listed, read
from streams.cli.help import example


@click.command()
@click.argument("before", type=given.FILE)
@click.argument("after", type=given.FILE)
@given.columns
@given.direction
@given.plotted
@show.as_json
@example(
    "llmopt compare monday.csv tuesday.csv",
    "llmopt compare monday.csv tuesday.csv --column p95 --good down --plot compared.png",
)
def compare(
    before: Path,
    after: Path,
    *,
    wanted: tuple[str, ...],
    good: str | None,
    plot: Path | None,
    machine: bool,
) -> None:
    """Compare two files, column by column: BEFORE and AFTER, CSVs with a header.

    Means by Welch's test and ranks by Mann and Whitney's, both with the autocorrelation of values
    over time; the p is for all columns together (Holm). Alike is known to differ by less than 5 %
    (1 % where it surely does), inconclusive may differ or not.
    """
    first, second = read(before, wanted), read(after, wanted)
    common = [name for name in first.columns if name in second.columns]
    if not common:
        raise Unusable(
            f"{first.file} and {second.file} have no column of numbers in common: "
            f"{', '.join(first.columns)} and {', '.join(second.columns)}"
        )
    least = FEWEST if wanted or len(common) == 1 else 0
    samples = {
        name: (first.series(name, least).values, second.series(name, least).values)
        for name in common
    }
    found = beside(samples, {name: Good(good) if good else good_of(name) for name in common})
    said = [
        *(f"{table.file}: {repair}" for table in (first, second) for repair in table.repairs),
        *_left_out(common, found),
    ]
    if plot is not None and found:
        from streams.cli import charts  # noqa: PLC0415  # only a picture is worth matplotlib

        given.save(charts.compared((first, second), samples, found), plot)
    if machine:
        show.document(
            {
                "before": first.file,
                "after": second.file,
                "said": said,
                "columns": [_document(each) for each in found],
            }
        )
        return
    given.say("compare", said)
    show.table(
        (
            *("column", "outcome", "before", "after", "change", "95 % interval"),
            *("effect", "p50", "p95", "p99", "p", "p of all"),
        ),
        [_row(each) for each in found],
        empty="No column can be compared: each is constant, or too short.",
    )
    if plot is not None and found:
        click.echo(f"\nDrawn in {plot}.")


def _left_out(common: Sequence[str], found: Sequence[Beside]) -> list[str]:
    known = {each.name for each in found}
    gone = [name for name in common if name not in known]
    if not gone:
        return []
    return [f"constant in both, or fewer than {FEWEST} values: left out are {listed(gone)}"]


def _row(each: Beside) -> tuple[object, ...]:
    change, low, high = (_relative(each.before, x) for x in each.difference)
    quantiles = [_relative(q.before, q.difference.value) for q in each.quantiles]
    return (
        *(each.name, str(each.outcome), each.before, each.after, change, f"{low} … {high}"),
        *(f"{each.effect.value:+.2f} σ", *quantiles, f"{each.p:.2g}", f"{each.adjusted_p:.2g}"),
    )


def _relative(before: float, difference: float) -> str:
    return f"{difference / abs(before):+.1%}" if before else f"{difference:+.4g}"


def _document(each: Beside) -> dict[str, object]:
    told = asdict(each)
    for name in ("difference", "effect", "superiority"):
        told[name] = _ends(getattr(each, name))
    told["quantiles"] = [
        {"q": q.q, "before": q.before, "after": q.after, "difference": _ends(q.difference)}
        for q in each.quantiles
    ]
    return told


def _ends(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}

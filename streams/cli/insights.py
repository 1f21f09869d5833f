"""llmopt insights: what the past of a scope says about it, in words."""

from __future__ import annotations

import click

from schemas.insight import Insight, InsightKind
from schemas.topics import INSIGHTS
from streams.cli import home, show
from streams.cli.help import example
from streams.reading import records
from streams.settings import Settings


@click.command()
@click.argument("scope", required=False)
@click.option(
    "--kind",
    type=click.Choice([each.value for each in InsightKind]),
    help="Only of this kind.",
)
@click.option("--metric", help="Only of this metric, such as p95_latency_ms.")
@show.newest
@show.as_json
@example("llmopt insights search/answer", "llmopt insights --kind change_point --limit 5")
def insights(
    scope: str | None, *, kind: str | None, metric: str | None, limit: int, machine: bool
) -> None:
    """See where scopes go, changed, will be, and how they compare.

    Of SCOPE, or of all. Each as it was said last, newest first; what was taken back is left out,
    and forecasts of what has been since.
    """
    every = _newest(home.reached())
    found = [
        each
        for each in every
        if scope in (None, each.scope)
        and kind in (None, each.kind.value)
        and metric in (None, each.metric)
    ][:limit]
    if machine:
        show.document(found)
        return
    show.table(
        ("at", "scope", "kind", "metric", "window", "confidence", "in words"),
        [
            (
                show.moment(each.at),
                each.scope,
                each.kind.value,
                each.metric,
                each.window,
                f"{100 * each.confidence:.4g} %",
                each.sentence,
            )
            for each in found
        ],
        empty="Nothing is known of the past yet."
        if not every
        else show.unmatched(
            "insights",
            len(every),
            show.filters(("", scope), ("--kind ", kind), ("--metric ", metric)),
            scope,
            (each.scope for each in every),
        ),
    )


def _newest(settings: Settings) -> list[Insight]:
    with home.codec(settings) as codec:
        told = [seen.value for seen in records(settings, codec, INSIGHTS)]
    return standing([each for each in told if isinstance(each, Insight)])


def standing(told: list[Insight]) -> list[Insight]:
    """What holds of all that was *told*, in the order of time: each as it was last, newest first.

    A forecast stands until its time has come in windows of the same length of its scope.
    """
    last: dict[str, Insight] = {}
    reached: dict[tuple[str, str], int] = {}
    for each in told:
        last.pop(each.id, None)
        last[each.id] = each
        at = (each.scope, each.window)
        reached[at] = max(each.end, reached.get(at, 0))
    return [
        each
        for each in reversed(last.values())
        if each.holds
        and (each.kind is not InsightKind.FORECAST or each.at > reached[each.scope, each.window])
    ]

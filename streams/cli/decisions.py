"""llmopt decisions: what was decided, on what evidence, and why."""

from __future__ import annotations

import click

from processors.decide.explain import explain
from schemas.decision import Decision
from schemas.topics import DECISIONS
from streams.cli import home, show
from streams.cli.failure import not_found
from streams.cli.help import Group, example
from streams.reading import records
from streams.settings import Settings


@click.group(cls=Group)
@example("llmopt decisions list --scope search/answer")
def decisions() -> None:
    """See what was decided, and why."""


@decisions.command("list")
@click.option("--scope", help="Only of this scope.")
@show.newest
@show.as_json
@example("llmopt decisions list --limit 5")
def list_(scope: str | None, *, limit: int, machine: bool) -> None:
    """List decisions, newest first."""
    every = _all(home.reached())
    found = [each for each in every if scope in (None, each.scope)][::-1][:limit]
    if machine:
        show.document(found)
        return
    show.table(
        ("id", "at", "scope", "rule", "action", "chosen", "why"),
        [
            (
                each.id,
                show.moment(each.at),
                each.scope,
                each.rule,
                each.action.value,
                None if each.chosen is None else f"{each.chosen.provider}/{each.chosen.model}",
                " ".join(each.reasons),
            )
            for each in found
        ],
        empty="Nothing has been decided yet."
        if not every
        else show.unmatched(
            "decisions", len(every), [f"--scope {scope}"], scope, (each.scope for each in every)
        ),
    )


@decisions.command("show")
@click.argument("id_", metavar="ID")
@show.as_json
@example("llmopt decisions show d-1f0c…")
def show_(id_: str, *, machine: bool) -> None:
    """Explain one decision: what it saw, what it weighed, what stood in the way."""
    found = [each for each in _all(home.reached()) if each.id == id_]
    if not found:
        raise not_found(f"There is no decision {id_}: see `llmopt decisions list`.")
    if machine:
        show.document(found[-1])
    else:
        click.echo(explain(found[-1]))


def _all(settings: Settings) -> list[Decision]:
    with home.codec(settings) as codec:
        return [
            seen.value
            for seen in records(settings, codec, DECISIONS)
            if isinstance(seen.value, Decision)
        ]

"""llmopt status: the pipeline at a glance."""

from __future__ import annotations

import click

from schemas.scope import ALL
from streams.cli import home, show
from streams.cli.help import example
from streams.overview import overview


@click.command()
@show.as_json
@example("llmopt status --json | jq '.stages[] | {stage, lag}'")
def status(*, machine: bool) -> None:
    """See stages, lag, rollouts and dead letters at a glance.

    Lag counts offsets, as kafka-consumer-groups does: the end marks of transactions included.
    """
    settings = home.reached()
    with home.codec(settings) as codec:
        found = overview(settings, codec)
    if machine:
        show.document(found)
        return
    click.echo(f"{found.mode}; scopes with a config: {found.scopes}")
    for scope, command in found.holds.items():
        where = "all scopes" if scope == ALL else scope
        why = f": {command.reason}" if command.reason else ""
        click.echo(f"  {command.kind.value} of {where} by {command.by}{why}")
    click.echo()
    show.table(
        ("stage", "group", "members", "lag"),
        [(each.stage, each.state, len(each.members), each.lag) for each in found.stages],
        empty="",
    )
    click.echo()
    show.table(
        ("scope", "revision", "share", "stable", "candidate", "rollout"),
        [
            (
                each.scope,
                each.revision,
                None if each.split is None else show.share(each.split.share),
                None if each.stable is None else each.stable.model,
                None if each.candidate is None else each.candidate.model,
                None if each.split is None else each.split.rollout_id,
            )
            for each in found.rollouts
        ],
        empty="No rollout is under way.",
    )
    click.echo()
    show.table(
        ("dead letters of", "count"),
        [(e.topic, e.count if e.exact else f"at most {e.count}") for e in found.dead_letters],
        empty="No dead letters.",
    )

"""llmopt status: the pipeline at a glance."""

from __future__ import annotations

import click
from confluent_kafka import KafkaException

from streams.alone import Local, local
from streams.cli import give, home, show
from streams.cli.failure import Failure, explained
from streams.cli.help import example
from streams.obedience import Obedience
from streams.overview import overview


@click.command()
@show.as_json
@example("llmopt status --json | jq '.stages[] | {stage, lag}'")
def status(*, machine: bool) -> None:
    """See stages, lag, rollouts, holds and dead letters at a glance.

    A hold says who gave it, since when, and which tasks have committed it. Lag counts offsets, as
    kafka-consumer-groups does: the end marks of transactions included. Where no broker answers, it
    shows what waits on this machine, and fails.
    """
    try:
        settings = home.reached()
    except KafkaException as error:
        here = local(home.settings())
        if not machine:
            _here(here)
        nobody = explained(error) or Failure(str(error))
        raise Failure(nobody.message, nobody.exit_code, {"local": here}) from error
    with home.codec(settings) as codec:
        found = overview(settings, codec)
    if machine:
        show.document(found)
        return
    click.echo(f"{found.mode}; scopes with a config: {found.scopes}")
    for command in found.holds.values():
        click.echo(f"  {give.hold(command)}")
        click.echo(f"    {obeyed(found.obedience[command.scope])}")
    _here(found.local)
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
        empty="No candidate has traffic; see `llmopt deployments list --active` for what asks you.",
    )
    click.echo()
    show.table(
        ("dead letters of", "count"),
        [(e.topic, e.count if e.exact else f"at most {e.count}") for e in found.dead_letters],
        empty="No dead letters.",
    )


def obeyed(tasks: tuple[Obedience, ...]) -> str:
    """Which tasks have committed a hold, in words."""
    late = [each for each in tasks if not each.obeyed]
    if not late:
        return f"Obeyed: committed by {_tasks(len(tasks))}."
    names = ", ".join(f"{each.partition} ({each.worker or 'which no worker has'})" for each in late)
    return (
        f"NOT obeyed yet: committed by {len(tasks) - len(late)} of {_tasks(len(tasks))}, but not "
        f"by task {names}."
    )


def _tasks(count: int) -> str:
    return "the one task of the actuator" if count == 1 else f"{count} tasks of the actuator"


def _here(found: Local) -> None:
    """What of this machine there is to say: nothing, where nothing waits and all can be read."""
    for line in troubles(found):
        click.echo(f"  {line}")
    for command in found.waiting:
        click.echo(f"  waits on this machine, in {found.folder}: {give.hold(command)}")
        if not found.workers:
            click.echo("    No worker with the actuator runs on this machine: it holds nobody yet.")
        for each in found.workers:
            noted = "has taken note" if command.id in each.noted else "has NOT taken note"
            noted = noted if each.told else "runs, but may not have taken note"
            click.echo(f"    {each.worker} (process {each.pid}) {noted}.")


def troubles(found: Local) -> list[str]:
    """What of this machine cannot be known, in sentences that say what to change."""
    said = [
        f"{file} cannot be read ({why}) and may be a stop: workers that cannot read it either "
        "write nothing. Make it readable, or remove it if it is no command."
        for file, why in sorted(found.unread.items())
    ]
    if found.barred:
        said.append(
            f"What waits in {found.folder} may not be listed by you ({found.barred}), so nobody "
            "knows here whether a stop does: ask as the user that runs the workers."
        )
    said += [
        f"{each.worker} (process {each.pid}) runs on this machine, but what it says of itself "
        "cannot be read: it may have the actuator, and not have taken note of a stop."
        for each in found.workers
        if not each.told
    ]
    return said

"""llmopt reset: offsets and state of a stage, together."""

from __future__ import annotations

import click

from schemas.topics import STAGES
from streams.cli import home, show
from streams.cli.failure import Failure
from streams.cli.help import example
from streams.exactly_once.reset import reset as rewind
from streams.follow import STAGE as STORE
from streams.follow import start_over
from streams.settings import Settings


@click.command()
@click.argument("stage", type=click.Choice([*STAGES, STORE]))
@show.as_json
@example("llmopt reset merge")
def reset(stage: str, *, machine: bool) -> None:
    """Make a stage start again from its input.

    Its state, journal and offsets are emptied; what its input topics still hold is read again and
    gives the same records, under the same names. Refused while a worker runs the stage.
    """
    settings = home.reached()
    done = start_over(settings) if stage == STORE else _rewind(settings, stage)
    if machine:
        show.document({"stage": stage, "deleted": done})
        return
    for name, count in done.items():
        click.echo(f"{name}: {count} entries deleted.")
    click.echo(f"{stage} starts from the beginning of its input when a worker runs it.")


def _rewind(settings: Settings, stage: str) -> dict[str, int]:
    from streams.stages import make  # noqa: PLC0415  # brings Faust, which takes a second

    try:
        return rewind(make(stage, settings)[0], settings.bootstrap_servers)
    except KeyError as error:
        raise Failure(f"{error} is missing: run `llmopt topics apply` first.") from error

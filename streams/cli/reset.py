"""llmopt reset: offsets and state of a stage, together."""

from __future__ import annotations

import click

from schemas.topics import STAGES
from streams.cli import home, show
from streams.cli.failure import Failure
from streams.cli.help import example
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
    gives the same records, under the same names. With collect goes merge, for sums must not be
    added twice. Decide and actuate keep their scopes and go on at the end of their input, for what
    was decided long ago must not be rolled out again. Refused while a worker runs the stage.
    """
    settings = home.reached()
    done = start_over(settings) if stage == STORE else _rewind(settings, stage)
    if machine:
        show.document({"stage": stage, "deleted": done})
        return
    for name, count in done.items():
        click.echo(f"{name}: {count} entries deleted.")
    where = "end" if stage in ("decide", "actuate") else "beginning"
    click.echo(f"{stage} goes on from the {where} of its input when a worker runs it.")


def _rewind(settings: Settings, stage: str) -> dict[str, int]:
    from streams.exactly_once import reset as engine  # noqa: PLC0415  # brings numpy and all stages
    from streams.stages import make  # noqa: PLC0415  # brings Faust, which takes a second

    names = (stage, *engine.ALONG.get(stage, ()))
    try:
        with home.codec(settings) as codec:
            stages = [make(name, settings)[0] for name in names]
            return engine.reset(stages, codec, settings.bootstrap_servers)
    except KeyError as error:
        raise Failure(f"{error} is missing: run `llmopt topics apply` first.") from error

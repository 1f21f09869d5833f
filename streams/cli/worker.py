"""llmopt worker: run stages until told to stop."""

from __future__ import annotations

import click
import msgspec

from schemas.topics import STAGES
from streams.cli import home, show
from streams.cli.help import example
from streams.settings import current, worker_name

STORE = "store"
CHOICES = (*STAGES, STORE)


def named(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """*value*, when LLMOPT_WORKER_NAME may be that.

    Raises:
        click.BadParameter: otherwise.
    """
    del context, parameter
    try:
        return None if value is None else worker_name(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} {error}.") from None


@click.command()
@click.option(
    "--stages",
    default=",".join(CHOICES),
    show_default=True,
    help="Which stages, separated by commas.",
)
@click.option(
    "--name", callback=named, help="The same over restarts, another for each worker [worker-1]."
)
@click.option("--metrics-port", type=click.IntRange(1, 65_535), help="Answer Prometheus here.")
@show.as_json
@example("llmopt worker", "llmopt worker --stages collect,merge --name hot-1")
@click.pass_context
def worker(
    context: click.Context,
    *,
    stages: str,
    name: str | None,
    metrics_port: int | None,
    machine: bool,
) -> None:
    """Run stages until told to stop (SIGTERM or Ctrl-C); start any number of workers.

    Workers share the partitions of each stage. A worker that is killed loses nothing: others, or
    itself when it is started again, go on exactly where its last commit was. With --json one line
    at the end says how it ended; the log is on standard error.
    """
    asked = [each.strip() for each in stages.split(",") if each.strip()]
    for each in asked:
        if each not in CHOICES:
            raise click.UsageError(f"{each!r} is not a stage: choose from {', '.join(CHOICES)}.")
    settings = current()
    called = name or settings.worker_name

    def tell(status: int, reason: str) -> None:
        line = {"worker": called, "stages": asked, "status": status, "reason": reason}
        click.echo(msgspec.json.encode(line).decode())

    home.reached()
    from streams.worker import run  # noqa: PLC0415  # the stages cost a second to import

    context.exit(run(settings, asked, called, metrics_port, tell if machine else None))

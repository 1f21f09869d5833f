"""llmopt worker: run stages until told to stop."""

from __future__ import annotations

import click

from schemas.topics import STAGES
from streams.cli import home
from streams.cli.help import example
from streams.settings import current

STORE = "store"
CHOICES = (*STAGES, STORE)


@click.command()
@click.option(
    "--stages",
    default=",".join(CHOICES),
    show_default=True,
    help="Which stages, separated by commas.",
)
@click.option("--name", help="The same over restarts, another for each worker [worker-1].")
@click.option("--metrics-port", type=int, help="Answer Prometheus here.")
@example("llmopt worker", "llmopt worker --stages collect,merge --name hot-1")
@click.pass_context
def worker(
    context: click.Context, *, stages: str, name: str | None, metrics_port: int | None
) -> None:
    """Run stages until told to stop (SIGTERM or Ctrl-C); start any number of workers.

    Workers share the partitions of each stage. A worker that is killed loses nothing: others, or
    itself when it is started again, go on exactly where its last commit was.
    """
    asked = [each.strip() for each in stages.split(",") if each.strip()]
    for each in asked:
        if each not in CHOICES:
            raise click.UsageError(f"{each!r} is not a stage: choose from {', '.join(CHOICES)}.")
    settings = current()
    home.reached()
    from streams.worker import run  # noqa: PLC0415  # the stages cost a second to import

    context.exit(run(settings, asked, name or settings.worker_name, metrics_port))

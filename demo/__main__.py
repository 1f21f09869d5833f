"""`python -m demo`: the whole loop in a few minutes; status 0 only when every promise is kept."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from demo.before import check
from demo.evidence import gather
from demo.promises import judge
from demo.report import show
from demo.run import PIPELINE, DemoFailed, run, workers
from infra.environment import Environment
from infra.errors import InfraError
from streams.cli.failure import explained

WIDE = 118  # columns
PICTURE = Path(".local") / "demo" / "rollback.png"


@click.command()
@click.option("--minutes", default=120, show_default=True, help="Simulated minutes.")
@click.option("--speed", default=60.0, show_default=True, help="Simulated seconds per second.")
@click.option("--seed", default=1, show_default=True, help="Of all chance in the fleet.")
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    default=PICTURE,
    show_default=True,
    help="Where the rollback is drawn, a PNG.",
)
@click.option("--keep", is_flag=True, help="Keep the data folder, and say where it is.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON document.")
def main(
    *, minutes: int, speed: float, seed: int, picture: Path, keep: bool, as_json: bool
) -> None:
    """Run the whole loop on a real Kafka and a real Postgres, and check what came of it."""
    began = time.monotonic()
    console = Console(stderr=True, highlight=False)

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:5.0f} s[/]  {line}")

    folder = Path(tempfile.mkdtemp(prefix="llmopt-demo-"))
    try:
        check(os.environ)
        say("Starting a real Kafka, a schema registry and a real Postgres.")
        with Environment.start(folder, say, given=os.environ) as env:
            ran = run(env, folder, os.environ, minutes=minutes, speed=speed, seed=seed, say=say)
            say("Checking: windows against a batch recomputation, Postgres, replay of the journal.")
            environment = {**os.environ, **env.env(), **PIPELINE}
            with workers(folder, environment) as crew:
                # All else stands still; what is on the topics must come to Postgres.
                crew.start("store", "--stages", "store")
                evidence = gather(ran, environment, picture)
        promises = judge(evidence)
    except (DemoFailed, InfraError) as error:
        console.print(f"[red]The demo failed:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
    except Exception as error:
        known = explained(error)
        if known is None:
            raise
        console.print(f"[red]The demo failed:[/] {escape(known.message)}", soft_wrap=True)
        sys.exit(known.exit_code)
    finally:
        if keep:
            say(f"The data is kept in {folder}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "promises": [dataclasses.asdict(each) for each in promises],
                    "rollouts": [dataclasses.asdict(each) for each in evidence.endings],
                    "picture": None
                    if evidence.picture is None
                    else dataclasses.asdict(evidence.picture),
                    "services": ran.summary["services"],
                    "seconds": round(time.monotonic() - began, 1),
                }
            )
        )
    else:
        show(terminal(), promises, evidence, ran.summary, time.monotonic() - began)
    sys.exit(0 if all(each.kept for each in promises) else 1)


def terminal() -> Console:
    """Standard output; where it is no terminal, wide enough for the tables."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


main()

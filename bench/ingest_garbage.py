"""The same as ingest, with a tenth of the messages unreadable: the good ones must not wait.

Each bad message must be in the dead letters, each good one in exactly one window.

python -m bench ingest-garbage
"""

from __future__ import annotations

import click

from bench.ingest import BAR, Load, measure, show

BENCH = "ingest-garbage"


@click.command()
@click.option("--rate", default=105_000.0, show_default=True, help="Messages a second.")
@click.option("--seconds", default=60.0, show_default=True, help="How long to measure.")
@click.option("--keep", is_flag=True, help="Keep the data and logs, and say where they are.")
def main(*, rate: float, seconds: float, keep: bool) -> None:
    """Measure how many messages a second one worker keeps up with when a tenth is garbage."""
    load = Load(rate, seconds, garbage=0.1)
    show(BENCH, measure(load, keep=keep), load, BAR)


if __name__ == "__main__":
    main()

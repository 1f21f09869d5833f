"""The same as ingest, with plain JSON instead of Avro events.

python -m bench ingest-json
"""

from __future__ import annotations

import click

from bench.ingest import Load, measure, show

BENCH = "ingest-json"
BAR = 150_000  # events a second


@click.command()
@click.option("--rate", default=160_000.0, show_default=True, help="Events a second.")
@click.option("--seconds", default=60.0, show_default=True, help="How long to measure.")
@click.option("--keep", is_flag=True, help="Keep the data and logs, and say where they are.")
def main(*, rate: float, seconds: float, keep: bool) -> None:
    """Measure how many events a second one worker keeps up with as plain JSON."""
    load = Load(rate, seconds, form="json")
    show(BENCH, measure(load, keep=keep), load, BAR)


if __name__ == "__main__":
    main()

"""What an event costs when there are ten endpoints and models, and when there are ten thousand.

The same rate of Avro events, in turns; the figure is the ratio of the worker's processor time.

python -m bench ingest-keys
"""

from __future__ import annotations

import statistics

import click

from bench.ingest import Load, figures, measure
from bench.line import report

BENCH = "ingest-keys"
BAR = 1.3  # times the cost with FEW
FEW, MANY = 10, 10_000


@click.command()
@click.option("--rate", default=60_000.0, show_default=True, help="Events a second.")
@click.option("--seconds", default=60.0, show_default=True, help="How long to measure a turn.")
@click.option("--turns", default=3, show_default=True, help="Of each.")
def main(*, rate: float, seconds: float, turns: int) -> None:
    """Compare the worker's processor time per event with few and with many keys."""
    took: dict[int, list[float]] = {FEW: [], MANY: []}
    for _ in range(turns):
        for keys, found in took.items():
            load = Load(rate, seconds, keys=keys)
            found.append(figures(measure(load), load)["cpu_us_per_event"])
    few, many = (statistics.median(found) for found in took.values())
    report(
        BENCH,
        round(many / few, 3),
        f"times the cost of {FEW} keys",
        bar=BAR,
        cpu_us_per_event=many,
        few_us_per_event=few,
        keys=MANY,
        asked=rate,
        turns={str(keys): found for keys, found in took.items()},
    )


if __name__ == "__main__":
    main()

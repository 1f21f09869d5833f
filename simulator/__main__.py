"""`python -m simulator`: run a scenario against a Kafka."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from types import FrameType

import click
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from simulator.live import Live
from simulator.scenario import InvalidScenario, read
from simulator.trace import MINUTE

ANSWERED_WITHIN = 10.0  # seconds


@click.command(help="Run a fleet of simulated LLM applications that obeys configs.")
@click.option("--bootstrap-servers", required=True, help="Kafka, host:port.")
@click.option("--scenario", default="demo", show_default=True, help="A YAML file, or demo.")
@click.option("--speed", default=60.0, show_default=True, help="Simulated seconds per second.")
@click.option("--minutes", default=180, show_default=True, help="Of simulated time.")
@click.option("--rate", default=1.0, show_default=True, help="Times the scenario's rates.")
@click.option("--seed", default=1, show_default=True, help="Of all chance.")
@click.option("--start", type=int, help="Simulated start, ms since the epoch [now − minutes].")
@click.option("--truth", type=click.Path(path_type=Path), help="Write what happened (.npz).")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON line.")
def main(
    *,
    bootstrap_servers: str,
    scenario: str,
    speed: float,
    minutes: int,
    rate: float,
    seed: int,
    start: int | None,
    truth: Path | None,
    as_json: bool,
) -> None:
    """Run a scenario to its end, or until told to stop."""
    if speed <= 0 or minutes <= 0 or rate <= 0:
        raise click.UsageError("--speed, --minutes and --rate must be above 0.")
    now = time.time_ns() // 1_000_000
    begin = now // MINUTE * MINUTE - minutes * MINUTE if start is None else start
    try:
        fleet = read(Path(scenario), seed=seed, start=begin, rate=rate)
    except InvalidScenario as error:
        raise click.ClickException(str(error)) from error
    await_kafka(bootstrap_servers)
    live = Live(fleet, bootstrap_servers, speed=speed, minutes=minutes, say=_say)

    def stop(_: int, __: FrameType | None) -> None:
        live.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    live.run()
    live.close()
    if truth is not None:
        live.record.write(truth)
    summary = live.summary()
    if as_json:
        click.echo(json.dumps(summary))
    else:
        for name, value in summary.items():
            click.echo(f"{name}: {value}")
    if summary["clients"]["reported"] and not summary["clients"]["delivered"]:
        raise click.ClickException(f"None of the reports arrived at {bootstrap_servers}.")


def await_kafka(servers: str) -> None:
    """Have a broker answer, before a fleet reports to nobody.

    Raises:
        click.ClickException: None does.
    """
    try:
        AdminClient({"bootstrap.servers": servers, "log_level": 0}).list_topics(
            timeout=ANSWERED_WITHIN
        )
    except KafkaException as error:
        raise click.ClickException(
            f"No Kafka broker answers at {servers}: give --bootstrap-servers as host:port, such as "
            "the one that `make up` starts."
        ) from error


def _say(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    sys.exit(main())

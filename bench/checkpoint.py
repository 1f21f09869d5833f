"""What exactly-once costs: the same worker with transactions and without, on the same load.

A producer sends at a steady rate all the time. Workers take turns: one as it is, one that flushes
its outputs and then commits its offsets (`bench.untransacted`), each measured once it has caught
up. The figure is the processor time of the worker, of all turns of a kind the median; that of the
broker is told beside it. Afterwards every event must be in exactly one window.

python -m bench checkpoint
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import click

from bench.ingest import (
    Load,
    await_first,
    await_first_event,
    check_counts,
    check_windows,
    drain,
    watch,
)
from bench.line import Figure, per_event, report
from bench.servers import Servers, keeping, servers
from bench.watch import Commits, Lag
from infra import ports
from streams import kafka

BENCH = "checkpoint"
BAR = 5.0  # percent
COMMIT_BAR = 20.0  # ms
ON, OFF = "on", "off"
MODULES = {ON: "streams", OFF: "bench.untransacted"}
SETTLE = 10.0  # seconds between catching up and measuring
PATIENCE = 120.0  # seconds


@dataclass(frozen=True, slots=True)
class Turn:
    """One worker on the load: µs per event, by process, and its commits."""

    worker: float
    broker: float
    commit_p95_ms: float


def turn(at: Servers, kind: str, number: int, lag: Lag, load: Load) -> Turn:
    """Start a worker, let it catch up, measure it, and end it in order."""
    port = ports.claim(at.folder, f"metrics-{number}")
    words = ["worker", "--stages", "collect,merge", "--metrics-port", str(port)]
    name = f"worker-{number}-{kind}"
    with at.child(name, MODULES[kind], *words) as worker:
        deadline = time.monotonic() + PATIENCE
        lag.look()
        taken = lag.committed
        while lag.look() > load.rate or lag.committed == taken:
            if worker.wait(0.2) or time.monotonic() > deadline:
                raise SystemExit(f"The worker did not catch up: {at.last_words(name)}")
        if worker.wait(SETTLE):
            raise SystemExit(f"The worker has ended: {at.last_words(name)}")
        pids = {"worker": worker.pid, "broker": at.broker}
        found = watch(pids, lag, port, load.seconds)
    if worker.exit_code:
        raise SystemExit(f"The worker ended with {worker.exit_code}: {at.last_words(name)}")
    used = per_event(found.events, **found.cpu)
    return Turn(
        used["cpu_us_per_event"], used["broker_us_per_event"], round(found.commit_p95 * 1e3, 1)
    )


def turns(at: Servers, load: Load, count: int) -> Mapping[str, list[Turn]]:
    """So many turns of each kind, one after the other, and what became of every event.

    Raises:
        SystemExit: An event is not where it must be, or something did not work.
    """
    brokers, width = at.settings.bootstrap_servers, at.settings.partitions_ingest
    reader = kafka.consumer(brokers, "llmopt.collect")
    lag = Lag(reader, width)
    commits = Commits(brokers, at.codec, width)
    commits.start()
    found: dict[str, list[Turn]] = {ON: [], OFF: []}
    seconds = 2 * count * (load.seconds + SETTLE + PATIENCE)
    words = ["bench.load", f"--rate={load.rate}", f"--seconds={seconds}"]
    with at.child("load", *words) as producer:
        await_first_event(lag, producer)
        for number in range(2 * count):
            kind = (ON, OFF)[number % 2]
            found[kind].append(turn(at, kind, number, lag, load))
        sent = at.sent(producer)
    with at.child("worker", "streams", "worker", "--stages", "collect,merge") as worker:
        await_first(commits, worker)
        drain(lag, worker, at)
    commits.stop()
    reader.close()
    check_counts(sent, 0, commits.counts)
    check_windows(at, sent)
    return found


def median(found: list[Turn], name: str) -> float:
    """The middle one of a figure."""
    return float(statistics.median(getattr(each, name) for each in found))


@click.command()
@click.option("--rate", default=60_000.0, show_default=True, help="Events a second.")
@click.option("--seconds", default=30.0, show_default=True, help="How long to measure a turn.")
@click.option("--turns", "count", default=3, show_default=True, help="Of each.")
@keeping
def main(*, rate: float, seconds: float, count: int, keep: bool) -> None:
    """Compare the worker's processor time per event with transactions and without."""
    with servers(keep=keep) as at:
        found = turns(at, Load(rate, seconds), count)
    on, off = (median(found[kind], "worker") for kind in (ON, OFF))
    broker_on, broker_off = (median(found[kind], "broker") for kind in (ON, OFF))
    report(
        BENCH,
        round(100 * (on / off - 1), 1),
        "% more processor time of the worker with transactions",
        bar=BAR,
        also=[
            Figure(
                what="commit",
                value=median(found[ON], "commit_p95_ms"),
                unit="ms p95 of a commit",
                bar=COMMIT_BAR,
            )
        ],
        cpu_us_per_event=on,
        off_us_per_event=off,
        broker_us_per_event=broker_on,
        broker_off_us_per_event=broker_off,
        with_broker_percent=round(100 * ((on + broker_on) / (off + broker_off) - 1), 1),
        commit_off_p95_ms=median(found[OFF], "commit_p95_ms"),
        asked=rate,
        turns={kind: [each.worker for each in mine] for kind, mine in found.items()},
    )


if __name__ == "__main__":
    main()

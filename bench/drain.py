"""How fast one worker reads what has piled up: summed up, exactly once.

Events that are all in the topic already are taken by a worker with collect and merge, beside the
broker on two cores, nobody sending. Afterwards every event must be in exactly one partial.

python -m bench drain
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import click

from bench.ingest import await_first, check_counts, partials
from bench.line import per_event, report
from bench.servers import Servers, keeping, servers
from bench.watch import Commits, Lag, cpu_seconds
from streams import kafka

BENCH = "drain"
BAR = 400_000  # events a second
PATIENCE = 300.0  # seconds


@dataclass(frozen=True, slots=True)
class Drained:
    """From the first commit that was seen to the last; CPU in seconds of a core."""

    seconds: float
    events: int
    worker: float
    broker: float


def fill(at: Servers, events: int) -> int:
    """Write the events to the topic; how many there are."""
    load = ["bench.load", f"--rate={10**9}", f"--seconds={PATIENCE}", f"--most={events}"]
    with at.child("load", *load) as producer:
        if not producer.wait(PATIENCE) or producer.exit_code:
            raise SystemExit(f"The producer failed: {at.last_words('load')}")
    return int(json.loads(at.last_words("load"))["sent"])


def drain(at: Servers, sent: int) -> Drained:
    """Start a worker on the topic that holds *sent* events; watch it until nothing is left."""
    brokers, width = at.settings.bootstrap_servers, at.settings.partitions_ingest
    reader = kafka.consumer(brokers, "llmopt.collect")
    lag = Lag(reader, width)
    commits = Commits(brokers, at.codec, width)
    with at.child("worker", "streams", "worker", "--stages", "collect,merge") as worker:
        commits.start()
        await_first(commits, worker)
        pids = (worker.pid, at.broker)
        left, began, before = lag.look(), time.monotonic(), [cpu_seconds(pid) for pid in pids]
        while lag.look():
            if worker.wait(0.1) or time.monotonic() - began > PATIENCE:
                raise SystemExit(f"The worker did not go on: {at.last_words('worker')}")
        took = time.monotonic() - began
        used = [cpu_seconds(pid) - past for pid, past in zip(pids, before, strict=True)]
        commits.stop()
    reader.close()
    check_counts(sent, 0, commits.counts)
    if (came := partials(at).total()) != sent:
        raise SystemExit(f"{came} events are in partials, but {sent} were sent.")
    return Drained(took, left, *used)


@click.command()
@click.option("--events", default=5_000_000, show_default=True, help="How many to read.")
@keeping
def main(*, events: int, keep: bool) -> None:
    """Measure how fast one worker reads what is in the topic already."""
    with servers(keep=keep) as at:
        found = drain(at, fill(at, events))
    report(
        BENCH,
        round(found.events / found.seconds),
        "events/s",
        bar=BAR,
        at=">=",
        **per_event(found.events, worker=found.worker, broker=found.broker),
        seconds=round(found.seconds, 1),
        events=events,
    )


if __name__ == "__main__":
    main()

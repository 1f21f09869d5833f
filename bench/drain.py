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

from bench.ingest import Servers, await_first, check_counts, child, partials, servers, tail
from bench.line import report
from bench.watch import Commits, Lag, cpu_seconds
from infra.environment import Environment
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


def drain(at: Servers, events: int) -> Drained:
    """Fill the topic, then start the worker and watch it until nothing is left."""
    env, settings, folder, codec = at
    where = {name: value for name, value in settings.environment().items() if value}
    load = ["bench.load", f"--rate={10**9}", f"--seconds={PATIENCE}", f"--most={events}"]
    with child(folder, "load", load, where) as producer:
        if not producer.wait(PATIENCE) or producer.exit_code:
            raise SystemExit(f"The producer failed: {tail(folder / 'load.log')}")
    sent = json.loads(tail(folder / "load.log"))["sent"]
    reader = kafka.consumer(settings.bootstrap_servers, "llmopt.collect")
    lag = Lag(reader, settings.partitions_ingest)
    commits = Commits(settings.bootstrap_servers, codec, settings.partitions_ingest)
    with child(
        folder, "worker", ["streams", "worker", "--stages", "collect,merge"], where
    ) as worker:
        commits.start()
        await_first(commits, worker)
        pids = (worker.pid, _pid(env))
        left, began, before = lag.look(), time.monotonic(), [cpu_seconds(pid) for pid in pids]
        while lag.look():
            if worker.wait(0.1) or time.monotonic() - began > PATIENCE:
                raise SystemExit(f"The worker did not go on: {tail(folder / 'worker.log')}")
        took = time.monotonic() - began
        used = [cpu_seconds(pid) - past for pid, past in zip(pids, before, strict=True)]
        commits.stop()
    reader.close()
    check_counts(sent, 0, commits.counts)
    if (came := partials(settings, codec).total()) != sent:
        raise SystemExit(f"{came} events are in partials, but {sent} were sent.")
    return Drained(took, left, *used)


def _pid(env: Environment) -> int:
    if env.broker is None:
        raise SystemExit("The bench starts a broker of its own, to know its processor time.")
    return env.broker.pid


@click.command()
@click.option("--events", default=5_000_000, show_default=True, help="How many to read.")
@click.option("--keep", is_flag=True, help="Keep the data and logs, and say where they are.")
def main(*, events: int, keep: bool) -> None:
    """Measure how fast one worker reads what is in the topic already."""
    with servers(keep=keep) as at:
        found = drain(at, events)
    report(
        BENCH,
        round(found.events / found.seconds),
        "events/s",
        bar=BAR,
        at=">=",
        cpu_us_per_event=round(found.worker * 1e6 / found.events, 2),
        broker_us_per_event=round(found.broker * 1e6 / found.events, 2),
        seconds=round(found.seconds, 1),
        events=events,
    )


if __name__ == "__main__":
    main()

"""How long a killed worker's partitions wait for another one, beyond the session's time-out.

Two workers hold the windows of ten thousand endpoints and models. One is killed; what is measured
is the time until the other has committed for every partition of both stages, less the time-out
after which a group may notice at all. The worst of some turns counts.

python -m bench takeover
"""

from __future__ import annotations

import signal
import time
from contextlib import AbstractContextManager, ExitStack

import click

from bench.line import report
from bench.servers import Servers, keeping, servers
from bench.watch import Commits
from infra.process import Process

BENCH = "takeover"
BAR = 3.0  # seconds beyond the session's time-out
KEYS = 10_000
STAGES = ("collect", "merge")
PATIENCE = 90.0  # seconds


def turns(at: Servers, rate: float, fill: float, count: int) -> list[float]:
    """Kill one of two workers so many times; the seconds until all was served again, each time."""
    settings = at.settings
    widths = {"collect": settings.partitions_ingest, "merge": settings.partitions_derived}
    journals = [
        Commits(settings.bootstrap_servers, at.codec, widths[stage], stage) for stage in STAGES
    ]
    seconds = fill + count * (PATIENCE + 20)
    load = ["bench.load", f"--rate={rate}", f"--seconds={seconds}", f"--keys={KEYS}"]
    found = []
    with ExitStack() as stack:
        workers = {name: stack.enter_context(worker(at, name)) for name in "ab"}
        stack.enter_context(at.child("load", *load))
        for each in journals:
            each.start()
            stack.callback(each.stop)
        time.sleep(fill)
        for turn in range(count):
            name = "ab"[turn % 2]
            before = [owners(each) for each in journals]
            workers[name].send(signal.SIGKILL)
            killed = time.time()
            found.append(served(journals, before, killed, at) - killed)
            workers[name] = stack.enter_context(worker(at, name))
            settle(journals, [owners(each) for each in journals], at)
    return found


def worker(at: Servers, name: str) -> AbstractContextManager[Process]:
    """A worker process with both stages."""
    words = ["streams", "worker", "--stages", ",".join(STAGES), "--name", name]
    return at.child(f"worker-{name}", *words)


def owners(commits: Commits) -> dict[int, int]:
    """The latest epoch of each partition."""
    latest: dict[int, int] = {}
    for partition, epoch in list(commits.owners):
        latest[partition] = max(latest.get(partition, 0), epoch)
    return latest


def served(
    journals: list[Commits], before: list[dict[int, int]], since: float, at: Servers
) -> float:
    """When the last partition had a commit of a later owner than *before*."""
    while time.time() - since < PATIENCE:
        times = [
            min(
                (
                    when
                    for (p, epoch), when in list(each.owners.items())
                    if p == partition and epoch > e
                ),
                default=None,
            )
            for each, past in zip(journals, before, strict=True)
            for partition, e in past.items()
        ]
        if None not in times:
            return max(when for when in times if when is not None)
        time.sleep(0.1)
    raise SystemExit(f"Not all was served again: {at.last_words('worker-a')}")


def settle(journals: list[Commits], before: list[dict[int, int]], at: Servers) -> None:
    """Wait until the worker that came back has its share."""
    served(journals, before, time.time(), at)
    time.sleep(5)


@click.command()
@click.option("--rate", default=10_000.0, show_default=True, help="Events a second meanwhile.")
@click.option("--fill", default=130.0, show_default=True, help="Seconds before the first kill.")
@click.option("--turns", "count", default=10, show_default=True, help="How many kills.")
@keeping
def main(*, rate: float, fill: float, count: int, keep: bool) -> None:
    """Measure how long the partitions of a killed worker wait."""
    with servers(keep=keep) as at:
        took = turns(at, rate, fill, count)
    timeout = at.settings.session_timeout_ms / 1_000
    report(
        BENCH,
        round(max(took) - timeout, 2),
        "s beyond the session time-out",
        bar=BAR,
        session_timeout_s=timeout,
        turns=[round(each, 2) for each in took],
        keys=KEYS,
    )


if __name__ == "__main__":
    main()

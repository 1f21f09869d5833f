"""How much memory a worker with all stages needs: idle, and with ten thousand endpoints' windows.

The figure is the most it has ever had; the idle one has a bar of its own. The events are of around
last midnight, so that windows of 1 min, 5 min, 15 min, 1 h and 24 h close in the same minute.

python -m bench memory
"""

from __future__ import annotations

import time

import click

from bench.line import Figure, report
from bench.servers import Servers, keeping, servers
from bench.watch import megabytes
from streams.clock import now_ms

BENCH = "memory"
BAR = 1_024  # MB
IDLE_BAR = 256  # MB
KEYS = 10_000
DAY = 86_400_000  # ms
BEFORE = 90_000  # ms before midnight that the load begins


def measure(at: Servers, rate: float, seconds: float) -> tuple[float, float]:
    """MB of a worker that has nothing to do, and the most of one that has much."""
    load = ["bench.load", f"--rate={rate}", f"--seconds={seconds}", f"--keys={KEYS}"]
    with at.child("worker", "streams", "worker") as worker:
        time.sleep(30)
        idle = megabytes(worker.pid)
        load += [f"--ago={now_ms() % DAY + BEFORE}"]
        with at.child("load", *load) as producer:
            if not producer.wait(seconds + 60) or producer.exit_code:
                raise SystemExit(f"The producer failed: {at.last_words('load')}")
        time.sleep(10)
        if worker.wait(0):
            raise SystemExit(f"The worker has ended: {at.last_words('worker')}")
        return idle, megabytes(worker.pid, "VmHWM")


@click.command()
@click.option("--rate", default=20_000.0, show_default=True, help="Events a second.")
@click.option(
    "--seconds", default=200.0, show_default=True, help="Of load: several closed minutes."
)
@keeping
def main(*, rate: float, seconds: float, keep: bool) -> None:
    """Measure the memory of a worker, idle and at work."""
    with servers(keep=keep) as at:
        idle, most = measure(at, rate, seconds)
    report(
        BENCH,
        round(most),
        "MB",
        bar=BAR,
        also=[Figure(what="idle", value=round(idle), unit="MB", bar=IDLE_BAR)],
        keys=KEYS,
    )


if __name__ == "__main__":
    main()

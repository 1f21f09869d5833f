"""A worker that can do a tenth of what comes: its memory stays as it is, and nothing is lost.

The worker is stopped and continued in turns, so that it commits a tenth of the load. Then it is let
go and, with all that waits before it, told to end (SIGTERM). Another one catches up. Afterwards
every event must be in exactly one window.

python -m bench backpressure
"""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass

import click

from bench.ingest import await_first, await_first_event, check_counts, check_windows, partials
from bench.line import Figure, report
from bench.servers import Servers, keeping, servers
from bench.watch import Commits, Lag, megabytes
from infra.process import Process
from streams import kafka

BENCH = "backpressure"
BAR = 10.0  # percent that the memory may grow by, from the first half of the time to the second
MOST_BAR = 1_024  # MB
END_BAR = 15.0  # seconds from SIGTERM to the end
SHARE = 0.1  # of the load
PERIOD = 1.0  # seconds from one pause to the next, well below the session's time-out
LOOK = 5.0  # seconds
WORKER = ("streams", "worker", "--stages", "collect,merge")


@dataclass(frozen=True, slots=True)
class Held:
    """What became of a worker that was held back."""

    seconds: float  # that it was
    memory: list[float]  # MB, every LOOK seconds
    share: float  # of the load that it committed meanwhile
    backlog: int  # events, when it was let go
    ended_in: float  # seconds from SIGTERM
    caught_up_in: float  # seconds, by another one
    sent: int  # events

    @property
    def growth(self) -> float:
        """Percent, from the most of the first half to the most of the second."""
        half = len(self.memory) // 2
        return 100 * (max(self.memory[half:]) / max(self.memory[:half]) - 1)


def hold(worker: Process, lag: Lag, rate: float, seconds: float) -> list[float]:
    """Let the worker do a tenth of the load; its memory every few seconds."""
    lag.look()
    began, before, run, memory = time.monotonic(), lag.committed, PERIOD * SHARE, list[float]()
    try:
        while (gone := time.monotonic() - began) < seconds:
            worker.send(signal.SIGCONT)
            time.sleep(run)
            worker.send(signal.SIGSTOP)
            time.sleep(PERIOD - run)
            lag.look()
            ahead = lag.committed - before > rate * SHARE * gone
            run = max(0.004, 0.5 * run) if ahead else min(0.5 * PERIOD, 1.5 * run)
            if gone >= LOOK * (len(memory) + 1):
                memory.append(megabytes(worker.pid))
    finally:
        worker.send(signal.SIGCONT)
    return memory


def held(at: Servers, rate: float, seconds: float, patience: float) -> Held:
    """Hold a worker back, end it under load, and let another one catch up within *patience* s.

    Raises:
        SystemExit: An event is not in exactly one partial, or something did not work.
    """
    brokers, width = at.settings.bootstrap_servers, at.settings.partitions_ingest
    # Offsets of an open transaction, of a worker stopped in it, are not waited for.
    reader = kafka.consumer(brokers, "llmopt.collect", isolation_level="read_uncommitted")
    lag = Lag(reader, width)
    commits = Commits(brokers, at.codec, width)
    commits.start()
    words = ["bench.load", f"--rate={rate}", f"--seconds={seconds + patience}"]
    with at.child("load", *words) as producer:
        with at.child("worker", *WORKER) as worker:
            await_first(commits, worker)
            await_first_event(lag, producer)
            began, before = time.monotonic(), lag.committed
            memory = hold(worker, lag, rate, seconds)
            backlog, gone = lag.look(), time.monotonic() - began
            share = (lag.committed - before) / (rate * gone)
            time.sleep(1.0)
            told = time.monotonic()
            worker.send(signal.SIGTERM)
            if not worker.wait(60) or worker.exit_code:
                raise SystemExit(f"It did not end in order: {at.last_words('worker')}")
            ended_in = time.monotonic() - told
        sent = at.sent(producer)
    with at.child("worker-again", *WORKER) as worker:
        began = time.monotonic()
        while lag.look():
            if worker.wait(0.2) or time.monotonic() - began > patience:
                raise SystemExit(f"It did not catch up: {at.last_words('worker-again')}")
        caught_up_in = time.monotonic() - began
        time.sleep(1.0)
    commits.stop()
    reader.close()
    check_counts(sent, 0, commits.counts)
    if (came := partials(at).total()) != sent:
        raise SystemExit(f"{came} events are in partials, but {sent} were sent.")
    return Held(seconds, memory, share, backlog, ended_in, caught_up_in, sent)


@click.command()
@click.option("--rate", default=30_000.0, show_default=True, help="Events a second.")
@click.option("--seconds", default=600.0, show_default=True, help="How long it is held back.")
@keeping
def main(*, rate: float, seconds: float, keep: bool) -> None:
    """Hold a worker at a tenth of the load: its memory, its end, and what it left undone."""
    with servers(keep=keep) as at:
        found = held(at, rate, seconds, patience=60 + seconds)
        check_windows(at, found.sent)
    report(
        BENCH,
        round(found.growth, 1),
        "% more memory in the second half of the time",
        bar=BAR,
        also=[
            Figure(what="memory", value=round(max(found.memory)), unit="MB", bar=MOST_BAR),
            Figure(
                what="SIGTERM",
                value=round(found.ended_in, 1),
                unit="s until the end, under load",
                bar=END_BAR,
            ),
        ],
        seconds=seconds,
        asked=rate,
        share_of_load=round(found.share, 3),
        backlog=found.backlog,
        caught_up_s=round(found.caught_up_in, 1),
        events=found.sent,
        memory_mb=[round(each) for each in found.memory],
    )


if __name__ == "__main__":
    main()

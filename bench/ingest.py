"""How many events a second one worker takes in: read, summed up, merged, exactly once.

A real broker, a producer and a worker with the stages collect and merge share two cores. The rate
is one that the worker keeps up with: what it has not yet committed does not grow. Afterwards every
event that was sent must be in exactly one window.

python -m bench ingest
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.line import report
from bench.load import KEYS, PER_BATCH
from bench.watch import Commits, Lag, busy_seconds, commit_seconds, cpu_seconds, percentile
from infra import ports
from infra.environment import Environment
from infra.process import Command, Process
from processors.summary.pack import unpack
from schemas.codec import Codec
from schemas.registry import RegistryClient
from schemas.topics import AGGREGATES, PARTIALS, Topic
from streams import kafka
from streams.exactly_once.reading import end_of, read
from streams.provision import apply, register
from streams.settings import Settings

BENCH = "ingest"
BAR = 100_000  # events a second
CORES = 2
WARM_UP = 30.0  # seconds before anything is measured: the broker compiles itself meanwhile
DRAINED_WITHIN = 60.0  # seconds
GROWTH = 0.01  # of the rate, that the lag may grow by and still count as flat

Place = tuple[int, int]  # partition of the partials and windows, start of the minute


@dataclass(slots=True)
class Measured:
    """One run at a steady rate; CPU in seconds of a core by process."""

    since: float  # seconds since the epoch
    seconds: float
    events: int  # committed meanwhile
    lags: list[tuple[float, int]]  # second, events
    cpu: dict[str, float]
    busy: float  # CPU of the whole machine
    commit_p95: float
    sent: int = 0  # in all, warm-up included
    spoilt: int = 0  # of those
    fresh: list[float] = field(default_factory=list)
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def growth(self) -> float:
        """Events a second that the lag grows by, from the first to the last third of the run.

        Medians, since the lag is higher for a second or two whenever a minute closes.
        """
        third = max(1, len(self.lags) // 3)
        (began, first), (ended, last) = (
            np.median(np.array(part), axis=0) for part in (self.lags[:third], self.lags[-third:])
        )
        return float((last - first) / max(1.0, ended - began))


@contextmanager
def child(folder: Path, name: str, arguments: list[str], env: Mapping[str, str]) -> Iterator[Any]:
    """A Python process of ours that ends with the block; its output is *name*.log."""
    command = [sys.executable, "-m", *arguments]
    process = Process(Command(command, Path.cwd(), folder / f"{name}.log", env))
    try:
        yield process
    finally:
        process.send(signal.SIGTERM)
        if not process.wait(20):
            process.send(signal.SIGKILL)
            process.wait(10)


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent."""

    rate: float  # events a second
    seconds: float  # measured, after the warm-up
    garbage: float = 0.0  # share of the events
    form: str = "avro"
    keys: int = KEYS

    @property
    def per_message(self) -> int:
        """Events in a message."""
        return PER_BATCH if self.form == "batch" else 1

    @property
    def words(self) -> list[str]:
        """The command that sends it."""
        given = {
            "rate": self.rate,
            "seconds": WARM_UP + self.seconds + 2,
            "garbage": self.garbage,
            "form": self.form,
            "keys": self.keys,
        }
        return ["bench.load", *(f"--{name}={value}" for name, value in given.items())]


def run(env: Environment, settings: Settings, folder: Path, codec: Codec, load: Load) -> Measured:
    """Send *load* after the warm-up; watch; wait for the last event."""
    if env.broker is None:
        raise SystemExit("The bench starts a broker of its own, to know its processor time.")
    where = {name: value for name, value in settings.environment().items() if value}
    port = ports.claim(folder, "metrics")
    reader = kafka.consumer(settings.bootstrap_servers, "llmopt.collect")
    lag = Lag(reader, settings.partitions_ingest, load.per_message)
    commits = Commits(settings.bootstrap_servers, codec, settings.partitions_ingest)
    stages = ["streams", "worker", "--stages", "collect,merge", "--metrics-port", str(port)]
    with child(folder, "worker", stages, where) as worker:
        commits.start()
        await_first(commits, worker)
        with child(folder, "load", load.words, where) as producer:
            await_first_event(lag, producer)
            time.sleep(WARM_UP)
            pids = {"worker": worker.pid, "producer": producer.pid, "broker": env.broker.pid}
            measured = watch(pids, lag, port, load.seconds)
            if not producer.wait(60) or producer.exit_code:
                raise SystemExit(f"The producer failed: {tail(folder / 'load.log')}")
        told = json.loads(tail(folder / "load.log"))
        measured.sent, measured.spoilt = told["sent"], told["spoilt"]
        drain(lag, worker, folder)
        commits.stop()
        measured.fresh = commits.freshness(reader, measured.since, measured.since + load.seconds)
        measured.counts = commits.counts
    reader.close()
    return measured


def watch(pids: Mapping[str, int], lag: Lag, port: int, seconds: float) -> Measured:
    """Look once a second at how far the worker is."""
    lag.look()
    taken, told = lag.committed, commit_seconds(port)
    before, all_before = {name: cpu_seconds(pid) for name, pid in pids.items()}, busy_seconds()
    since, lags = time.time(), []
    while (gone := time.time() - since) < seconds:
        lags.append((gone, lag.look()))
        time.sleep(1.0)
    lag.look()
    return Measured(
        since=since,
        seconds=time.time() - since,
        events=lag.committed - taken,
        lags=lags,
        cpu={name: cpu_seconds(pid) - before[name] for name, pid in pids.items()},
        busy=busy_seconds() - all_before,
        commit_p95=percentile(told, commit_seconds(port), 0.95),
    )


def await_first(commits: Commits, worker: Process) -> None:
    """Wait until every partition has a commit: from then on nothing waits for a takeover."""
    deadline = time.monotonic() + 60
    while len(commits.sequences) < commits.partitions:
        if time.monotonic() > deadline or worker.wait(0.1):
            raise SystemExit("The worker did not start to work within 60 s.")


def await_first_event(lag: Lag, producer: Process) -> None:
    """Wait until something is sent."""
    deadline = time.monotonic() + 60
    while not (lag.look() or lag.ends):
        if time.monotonic() > deadline or producer.wait(0.1):
            raise SystemExit("The producer did not send anything within 60 s.")


def drain(lag: Lag, worker: Process, folder: Path) -> None:
    """Wait until every event is in a committed partial."""
    deadline = time.monotonic() + DRAINED_WITHIN
    while lag.look():
        if worker.wait(0.2):
            raise SystemExit(f"The worker has ended: {tail(folder / 'worker.log')}")
        if time.monotonic() > deadline:
            raise SystemExit(f"{lag.look()} events were not read {DRAINED_WITHIN:.0f} s later.")


def tail(log: Path) -> str:
    """The last line of a log."""
    return (log.read_text().splitlines() or ["it said nothing."])[-1]


def check_counts(sent: int, spoilt: int, counts: Mapping[str, int]) -> None:
    """The journal accounts for every event that was sent: aggregated, or dead if it was spoilt.

    Raises:
        SystemExit: One is not.
    """
    found = Counter(counts)
    fates = ("aggregated", "late", "duplicates", "dead_lettered")
    if not sent == found["read"] == sum(found[fate] for fate in fates):
        raise SystemExit(f"{sent} events were sent, and the journal has {dict(found)}.")
    if found["dead_lettered"] != spoilt:
        raise SystemExit(f"{spoilt} events were spoilt, and the journal has {dict(found)}.")
    if found["aggregated"] != sent - spoilt:
        raise SystemExit(f"Of {sent} events not all good ones are there: {dict(found)}.")


def partials(settings: Settings, codec: Codec) -> Counter[Place]:
    """The requests of every minute, as collect wrote them."""
    came = Counter[Place]()
    for partition, partial in everything(settings, codec, PARTIALS):
        rows = unpack(partial)
        for start, requests in zip(rows.start.tolist(), rows.counters[:, 0], strict=True):
            came[partition, start] += int(requests)
    return came


def check_windows(settings: Settings, codec: Codec, sent: int) -> None:
    """Every event that was sent is in one partial, and in one window if its minute is closed.

    Raises:
        SystemExit: One is not.
    """
    came = partials(settings, codec)
    newest: dict[str, tuple[Place, int]] = {}  # by the last revision of each key's minute
    for partition, row in everything(settings, codec, AGGREGATES):
        if row.window == "1m" and not row.pooled:
            newest[row.record_id] = ((partition, row.start), row.requests)
    closed = Counter[Place]()
    for place, requests in newest.values():
        closed[place] += requests
    if not closed:
        raise SystemExit("No minute was closed meanwhile: measure for longer.")
    if wrong := sorted(place for place in closed if closed[place] != came[place]):
        raise SystemExit(f"The windows of {wrong} (partition, start) do not hold what came.")
    if came.total() != sent:
        raise SystemExit(f"{came.total()} events are in partials, but {sent} were sent.")


def everything(settings: Settings, codec: Codec, topic: Topic) -> Iterator[tuple[int, Any]]:
    """All committed records of a topic, each with its partition."""
    reader = kafka.consumer(
        settings.bootstrap_servers, "llmopt.bench.check", enable_partition_eof=True
    )
    try:
        ats = [(topic.name, partition) for partition in range(settings.partitions_derived)]
        for message in read(reader, {at: end_of(reader, at) for at in ats}):
            yield message.partition(), codec.decode(topic, message.value())
    finally:
        reader.close()


def measure(load: Load, *, keep: bool = False) -> Measured:
    """Run *load* on servers of its own, on two cores, and check what became of every event.

    Raises:
        SystemExit: An event is not where it must be, or something did not work.
    """
    with servers(keep=keep) as (env, settings, folder, codec):
        measured = run(env, settings, folder, codec, load)
        check_counts(measured.sent, measured.spoilt, measured.counts)
        check_windows(settings, codec, measured.sent - measured.spoilt)
    return measured


Servers = tuple[Environment, Settings, Path, Codec]


@contextmanager
def servers(*, keep: bool = False) -> Iterator[Servers]:
    """A broker and a registry with all topics, on two cores, in a folder of their own."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    folder = Path(tempfile.mkdtemp(prefix="llmopt-bench-"))
    try:
        with Environment.start(
            folder, lambda line: print(line, file=sys.stderr), database=False
        ) as env:
            settings = Settings(
                bootstrap_servers=env.bootstrap_servers, schema_registry_url=env.registry_url
            )
            apply(settings)
            register(settings)
            with RegistryClient(env.registry_url) as registry:
                yield env, settings, folder, Codec(registry)
    finally:
        if keep:
            print(f"The data is kept in {folder}.", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def show(name: str, measured: Measured, load: Load, bar: float) -> None:
    """Print the line; a rate with a lag that grows is none that was kept up with."""
    flat = measured.growth <= GROWTH * load.rate
    report(
        name,
        round(measured.events / measured.seconds) if flat else math.nan,
        "events/s",
        bar=bar,
        at=">=",
        **figures(measured, load),
    )


def figures(measured: Measured, load: Load) -> dict[str, Any]:
    """What is worth keeping of a run beside its rate."""
    used = {each: seconds * 1e6 / measured.events for each, seconds in measured.cpu.items()}
    return {
        "cpu_us_per_event": round(used["worker"], 2),
        "broker_us_per_event": round(used["broker"], 2),
        "producer_us_per_event": round(used["producer"], 2),
        "asked": load.rate,
        "seconds": round(measured.seconds, 1),
        "events": measured.sent,
        "lag_seconds": [round(lag / load.rate, 2) for _, lag in measured.lags],
        "lag_growth": round(measured.growth),
        "fresh_p50_ms": round(float(np.percentile(measured.fresh, 50)) * 1e3),
        "fresh_p99_ms": round(float(np.percentile(measured.fresh, 99)) * 1e3),
        "commit_p95_ms": round(measured.commit_p95 * 1e3, 1),
        # What other programs took of the machine, in cores; on two, 0 is what the bar is meant for.
        "others": round((measured.busy - sum(measured.cpu.values())) / measured.seconds, 2),
    }


@click.command()
@click.option("--rate", default=110_000.0, show_default=True, help="Events a second.")
@click.option("--seconds", default=60.0, show_default=True, help="How long to measure.")
@click.option("--keep", is_flag=True, help="Keep the data and logs, and say where they are.")
def main(*, rate: float, seconds: float, keep: bool) -> None:
    """Measure how many events a second one worker keeps up with."""
    load = Load(rate, seconds)
    show(BENCH, measure(load, keep=keep), load, BAR)


if __name__ == "__main__":
    main()

"""How many events a second one worker takes in: read, summed up, merged, exactly once.

A real broker, a producer and a worker with the stages collect and merge share two cores. The rate
is one that the worker keeps up with: what it has not yet committed does not grow. Where it does,
lower rates are tried. Afterwards every event that was sent must be in exactly one window.

python -m bench ingest
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import click
import numpy as np

from bench.line import Figure, per_event, report
from bench.load import KEYS, PER_BATCH
from bench.servers import Servers, keeping, servers
from bench.watch import Commits, Lag, busy_seconds, commit_seconds, cpu_seconds, percentile
from infra import ports
from infra.process import Process
from processors.summary.pack import unpack
from schemas.topics import AGGREGATES, PARTIALS, Topic
from streams import kafka
from streams.exactly_once.reading import end_of, read

BENCH = "ingest"
BAR = 200_000  # events a second
SHARES = (1.0, 0.9, 0.8, 0.7, 0.55)  # of the rate that is asked for, until one is kept up with
CPU_BAR = 3.0  # µs of a core that the worker takes for an event
WARM_UP = 30.0  # seconds before anything is measured: the broker compiles itself meanwhile
DRAINED_WITHIN = 120.0  # seconds
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


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent."""

    rate: float  # events a second
    seconds: float = 60.0  # measured, after the warm-up
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


def run(at: Servers, load: Load) -> Measured:
    """Send *load* after the warm-up; watch; wait for the last event."""
    brokers, width = at.settings.bootstrap_servers, at.settings.partitions_ingest
    port = ports.claim(at.folder, "metrics")
    reader = kafka.consumer(brokers, "llmopt.collect")
    lag = Lag(reader, width, load.per_message)
    commits = Commits(brokers, at.codec, width)
    stages = ["streams", "worker", "--stages", "collect,merge", "--metrics-port", str(port)]
    with at.child("worker", *stages) as worker:
        commits.start()
        await_first(commits, worker)
        with at.child("load", *load.words) as producer:
            await_first_event(lag, producer)
            time.sleep(WARM_UP)
            pids = {"worker": worker.pid, "producer": producer.pid, "broker": at.broker}
            measured = watch(pids, lag, port, load.seconds)
            if not producer.wait(60) or producer.exit_code:
                raise SystemExit(f"The producer failed: {at.last_words('load')}")
        told = json.loads(at.last_words("load"))
        measured.sent, measured.spoilt = told["sent"], told["spoilt"]
        drain(lag, worker, at)
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


def drain(lag: Lag, worker: Process, at: Servers) -> None:
    """Wait until every event is in a committed partial."""
    deadline = time.monotonic() + DRAINED_WITHIN
    while lag.look():
        if worker.wait(0.2):
            raise SystemExit(f"The worker has ended: {at.last_words('worker')}")
        if time.monotonic() > deadline:
            raise SystemExit(f"{lag.look()} events were not read {DRAINED_WITHIN:.0f} s later.")


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


def partials(at: Servers) -> Counter[Place]:
    """The requests of every minute, as collect wrote them."""
    came = Counter[Place]()
    for partition, partial in everything(at, PARTIALS):
        rows = unpack(partial)
        for start, requests in zip(rows.start.tolist(), rows.counters[:, 0], strict=True):
            came[partition, start] += int(requests)
    return came


def check_windows(at: Servers, sent: int) -> None:
    """Every event that was sent is in one partial, and in one window if its minute is closed.

    Raises:
        SystemExit: One is not.
    """
    came = partials(at)
    newest: dict[str, tuple[Place, int]] = {}  # by the last revision of each key's minute
    for partition, row in everything(at, AGGREGATES):
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


def everything(at: Servers, topic: Topic) -> Iterator[tuple[int, Any]]:
    """All committed records of a topic, each with its partition."""
    reader = kafka.consumer(
        at.settings.bootstrap_servers, "llmopt.bench.check", enable_partition_eof=True
    )
    try:
        places = [(topic.name, each) for each in range(at.settings.partitions_derived)]
        for message in read(reader, {each: end_of(reader, each) for each in places}):
            yield message.partition(), at.codec.decode(topic, message.value())
    finally:
        reader.close()


def measure(load: Load, *, keep: bool = False) -> Measured:
    """Run *load* on servers of its own, on two cores, and check what became of every event.

    Raises:
        SystemExit: An event is not where it must be, or something did not work.
    """
    with servers(keep=keep) as at:
        return checked(at, load)


def checked(at: Servers, load: Load) -> Measured:
    """Run *load*, and check what became of every event.

    Raises:
        SystemExit: as `measure`.
    """
    measured = run(at, load)
    check_counts(measured.sent, measured.spoilt, measured.counts)
    check_windows(at, measured.sent - measured.spoilt)
    return measured


def kept_up(measured: Measured, load: Load) -> bool:
    """Whether the lag did not grow: another rate is none that counts."""
    return measured.growth <= GROWTH * load.rate


def figures(measured: Measured, load: Load) -> dict[str, Any]:
    """What is worth keeping of a run beside its rate."""
    return {
        **per_event(measured.events, **measured.cpu),
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


def command(
    name: str, what: str, load: Load, bar: float, cpu_bar: float | None = None
) -> click.Command:
    """The command of a bench of this kind.

    Args:
        name: Of the bench.
        what: It measures.
        load: What it sends when it is not told otherwise.
        bar: Events a second.
        cpu_bar: Processor time of the worker, in µs for an event; None if nothing was promised.
    """

    @click.command(help=what)
    @click.option(
        "--rate",
        default=load.rate,
        show_default=True,
        help="Events a second; where the lag grows, lower rates are tried.",
    )
    @click.option("--seconds", default=load.seconds, show_default=True, help="How long to measure.")
    @keeping
    def main(*, rate: float, seconds: float, keep: bool) -> None:
        too_many = []
        for share in SHARES:
            asked = replace(load, rate=share * rate, seconds=seconds)
            measured = measure(asked, keep=keep)
            if flat := kept_up(measured, asked):
                break
            too_many.append(asked.rate)
        found = figures(measured, asked)
        used = found["cpu_us_per_event"] if flat else math.nan
        report(
            name,
            round(measured.events / measured.seconds) if flat else math.nan,
            "events/s",
            bar=bar,
            at=">=",
            also=[Figure(what="worker", value=used, unit="µs CPU/event", bar=cpu_bar)]
            if cpu_bar
            else [],
            **found,
            too_many=too_many,
        )

    return main


main = command(
    BENCH,
    "Measure how many events a second one worker keeps up with.",
    Load(302_000.0),
    BAR,
    CPU_BAR,
)


if __name__ == "__main__":
    main()

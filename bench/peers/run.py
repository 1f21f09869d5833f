"""Runs a peer on a filled topic, and watches it until it has read all."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.line import ROOT
from bench.peers.check import Verdict, Window, judge, shown
from bench.peers.fill import Filled, create
from bench.peers.install import Say, classpath, python_of
from bench.servers import Servers
from bench.watch import cpu_seconds, tree_cpu_seconds
from infra.kafka.install import java
from infra.process import Process
from streams import kafka
from streams.exactly_once.reading import end_of

PROGRESS = re.compile(r"^progress (\d+)$", re.MULTILINE)
TAIL = 4_096  # bytes of a log that are looked at
STUCK = 60.0  # seconds without progress
SETTLED = 3.0  # seconds without another window
SCHEMA = ROOT / "schemas" / "avro" / "MetricEvent.avsc"
WARM = 5.0  # seconds that Java is given to compile itself

Place = tuple[str, int]
NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True)
class Peer:
    """A stream processor, and what it is asked to do."""

    name: str
    environment: str  # of those in requirements/, or java
    events: int  # for about twenty seconds of a busy core
    windowed: bool = True
    more: tuple[str, ...] = ()  # options

    def command(self, say: Say) -> list[str]:
        """What runs it, installed where it was not.

        Raises:
            InfraError: It cannot be installed; the message says why.
        """
        if self.environment == "java":
            path = classpath(say)
            return [str(java()), "-cp", path, "WindowsPeer", "--schema", str(SCHEMA)]
        program = f"bench.peers.{self.environment}_peer"
        return [str(python_of(self.environment, say)), "-m", program, *self.more]


PEERS = (
    Peer("Kafka Streams", "java", 5_000_000),
    Peer("Bytewax windowed", "bytewax", 1_000_000),
    Peer("Quix windowed", "quix", 400_000),
    Peer("Faust table", "faust", 100_000),
    Peer("Faust agent windowed", "faust", 100_000, more=("--own-memory",)),
    Peer("Arroyo batched", "arroyo", 1_000_000),
    Peer("Bytewax raw", "bytewax", 2_000_000, windowed=False),
    Peer("Quix raw", "quix", 2_000_000, windowed=False),
    Peer("Arroyo raw", "arroyo", 2_000_000, windowed=False),
    Peer("Faust agent", "faust", 200_000, windowed=False),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """How far a peer was at a moment; CPU in seconds of a core so far."""

    at: float
    events: int
    client: float
    broker: float


@dataclass(frozen=True, slots=True)
class Cost:
    """Between two samples."""

    rate: float  # events a second
    client: float  # µs of CPU an event
    broker: float  # the same


def cost(samples: Sequence[Sample], after: float = 0.0) -> Cost | None:
    """From the first sample, or the first that is *after* so many seconds, to the last.

    None where there are not two with progress in between.
    """
    counted = [each for each in samples if each.at - samples[0].at >= after]
    if len(counted) < 2 or counted[0].events == counted[-1].events:
        return None
    first, last = counted[0], counted[-1]
    events = last.events - first.events
    return Cost(
        events / (last.at - first.at),
        (last.client - first.client) * 1e6 / events,
        (last.broker - first.broker) * 1e6 / events,
    )


@dataclass(frozen=True, slots=True)
class Ran:
    """One turn of a peer."""

    samples: Sequence[Sample]
    verdict: Verdict | None  # None where it is not asked for windows
    failed: str = ""  # why it did not read all


def run(at: Servers, peer: Peer, filled: Filled, expected: Mapping[Place, Window], say: Say) -> Ran:
    """Let *peer* read a topic from its start to its end, in a group and folder of its own."""
    label = f"peer-{next(NUMBERS)}"
    output = f"bench.{label}.windows"
    create(at, output)
    folder = at.folder / label
    folder.mkdir()
    given = {
        "brokers": at.settings.bootstrap_servers,
        "topic": filled.topic,
        "output": output,
        "group": f"bench-{label}",
        "folder": str(folder),
        "events": str(filled.events),
        "partitions": str(at.settings.partitions_ingest),
    }
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    if peer.windowed and peer.environment != "java":
        words.append("--windowed")
    with at.program(label, [*peer.command(say), *words]) as process:
        samples = _watch(at, label, process, filled.events)
        if peer.windowed:
            _settle(at, output, process)
    done = samples[-1].events if samples else 0
    failed = ""
    if done != filled.events:
        failed = f"it took {done:,} of {filled.events:,} events: {at.last_words(label)[:300]}"
    verdict = judge(expected, shown(at, output, filled.last)) if peer.windowed else None
    return Ran(samples, verdict, failed)


def _watch(at: Servers, label: str, process: Process, events: int) -> list[Sample]:
    """A sample at each progress that is seen, until all is read or nothing goes on."""
    samples: list[Sample] = []
    moved = time.monotonic()
    while not samples or samples[-1].events < events:
        ended = process.wait(0.05)
        count = progress((at.folder / f"{label}.log").read_bytes()[-TAIL:].decode(errors="replace"))
        if count > (samples[-1].events if samples else 0):
            moved = time.monotonic()
            samples.append(
                Sample(moved, count, tree_cpu_seconds(process.pid), cpu_seconds(at.broker))
            )
        elif ended or time.monotonic() - moved > STUCK:
            break
    return samples


def progress(log: str) -> int:
    """The last count in the end of a log; 0 if there is none."""
    found = PROGRESS.findall(log)
    return int(found[-1]) if found else 0


def _settle(at: Servers, topic: str, process: Process) -> None:
    """Wait until no more windows come."""
    reader = kafka.consumer(at.settings.bootstrap_servers, "llmopt.bench.peers")
    try:
        ends, since, began = -1, time.monotonic(), time.monotonic()
        while time.monotonic() - since < SETTLED and time.monotonic() - began < STUCK:
            places = range(at.settings.partitions_ingest)
            now = sum(end_of(reader, (topic, each))[1] for each in places)
            if now != ends:
                ends, since = now, time.monotonic()
            if process.wait(0.2):
                return
    finally:
        reader.close()

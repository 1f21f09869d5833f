"""What a running pipeline is watched by: processor time, lag, and when commits become visible."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
import urllib.request
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from schemas.codec import Codec
from schemas.journal import JournalRecord
from schemas.topics import METRICS, Topic, journal
from streams import kafka

TICK = os.sysconf("SC_CLK_TCK")
BUCKET = re.compile(r'llmopt_commit_seconds_bucket\{le="([^"]+)",stage="collect"\} ([\d.e+]+)')
Visible = tuple[float, int]  # seconds since the epoch, next offset


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def tree_cpu_seconds(pid: int) -> float:
    """Processor time so far of a process and of all that it has started and that still run."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found, waiting = 0.0, [pid]
    while waiting:
        each = waiting.pop()
        with contextlib.suppress(OSError):
            found += cpu_seconds(each)
        waiting += children.get(each, [])
    return found


def megabytes(pid: int, field: str = "VmRSS") -> float:
    """Memory of a process in MB (2^20 bytes): now, or at its most (`VmHWM`)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) / 1_024


def busy_seconds() -> float:
    """Processor time of the whole machine so far, all cores and programs."""
    user, nice, system, _idle, _wait, *rest = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + sum(rest)) / TICK


@dataclass(slots=True)
class Lag:
    """How far the group of collect is behind the ends of its topic."""

    reader: Consumer
    partitions: int
    per_message: int = 1  # events
    committed: int = 0  # events, as last looked
    ends: int = 0

    def look(self) -> int:
        """The events that are in the topic and not yet in a committed partial."""
        ats = [TopicPartition(METRICS.name, p) for p in range(self.partitions)]
        done = self.reader.committed(ats, timeout=10)
        marks = (self.reader.get_watermark_offsets(at, timeout=10) for at in ats)
        self.committed = self.per_message * sum(max(0, each.offset) for each in done)
        self.ends = self.per_message * sum(high for _, high in marks)
        return self.ends - self.committed


class Follow:
    """Reads a topic beside the caller, committed records only, from its beginning or its end."""

    def __init__(
        self,
        brokers: str,
        topic: Topic,
        partitions: int,
        take: Callable[[Message, float], None],
        *,
        begin: int = OFFSET_BEGINNING,
    ) -> None:
        self.brokers = brokers
        self.topic = topic
        self.partitions = partitions
        self.take = take  # given a record, and when it could be read, in seconds since the epoch
        self.begin = begin
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.follow, daemon=True)

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def follow(self) -> None:
        """Read until told that it is over."""
        reader = kafka.consumer(self.brokers, "llmopt.bench.follow")
        places = range(self.partitions)
        reader.assign([TopicPartition(self.topic.name, p, self.begin) for p in places])
        try:
            while not self.over.is_set():
                found, now = reader.consume(100, 0.1), time.time()
                for message in found:
                    if message.error() is None:
                        self.take(message, now)
        finally:
            reader.close()

    def stop(self) -> None:
        """End it."""
        self.over.set()
        self.thread.join(10)


class Commits:
    """Follows a stage's journal, and notes when a reader of committed records sees each line."""

    def __init__(self, brokers: str, codec: Codec, partitions: int, stage: str = "collect") -> None:
        self.topic = journal(stage)
        self.codec = codec
        self.partitions = partitions
        self.following = Follow(brokers, self.topic, partitions, self.read)
        self.seen: dict[int, list[Visible]] = {}
        self.counts: dict[str, int] = {}
        self.sequences: dict[int, int] = {}  # partition -> its commits
        self.owners: dict[tuple[int, int], float] = {}  # partition, epoch -> its first line

    def start(self) -> None:
        """Begin, beside the caller."""
        self.following.start()

    def read(self, message: Message, now: float) -> None:
        """Remember a record of the journal that could be read *now*."""
        self.take(self.codec.decode(self.topic, message.value()), now)

    def take(self, line: JournalRecord, now: float) -> None:
        """Remember a line of the journal that could be read *now*."""
        self.sequences[line.partition] = line.sequence
        self.owners.setdefault((line.partition, line.epoch), now)
        for name, count in line.counts.items():
            self.counts[name] = self.counts.get(name, 0) + count
        for stretch in line.ranges:
            if stretch.topic == METRICS.name:
                self.seen.setdefault(stretch.partition, []).append((now, stretch.end))

    def stop(self) -> None:
        """End it."""
        self.following.stop()

    def freshness(self, reader: Consumer, since: float, until: float) -> list[float]:
        """Seconds from when events were sent until their partials could be read.

        Args:
            reader: Any consumer of the cluster.
            since: Events from then on, seconds since the epoch.
            until: Events before then.

        Returns:
            One for each partition and quarter of a second.
        """
        found = []
        for partition, seen in self.seen.items():
            ends = [end for _, end in seen]
            for at in np.arange(since, until, 0.25).tolist():
                asked = TopicPartition(METRICS.name, partition, int(at * 1_000))
                (event,) = reader.offsets_for_times([asked], timeout=10)
                place = bisect_right(ends, event.offset)
                if event.offset >= 0 and place < len(ends):
                    found.append(seen[place][0] - at)
        return found


def commit_seconds(port: int) -> Mapping[float, float]:
    """Collect's commits by how long they took at most, as its worker tells Prometheus."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {float(bound): float(count) for bound, count in BUCKET.findall(text)}


def percentile(before: Mapping[float, float], after: Mapping[float, float], share: float) -> float:
    """The value that *share* of what was counted in between stays below, within its bucket."""
    bounds = sorted(after)
    counts = [after[bound] - before.get(bound, 0.0) for bound in bounds]
    at = bisect_left(counts, share * counts[-1])
    low, under = (bounds[at - 1], counts[at - 1]) if at else (0.0, 0.0)
    inside = counts[at] - under
    return low + (bounds[at] - low) * (share * counts[-1] - under) / inside if inside else low

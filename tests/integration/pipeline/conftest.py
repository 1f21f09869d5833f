from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest
from confluent_kafka import KafkaException, TopicPartition

from demo.run import Workers, await_groups
from infra.environment import Environment
from schemas.codec import Codec
from schemas.journal import JournalRecord
from schemas.registry import RegistryClient
from schemas.topics import COMMANDS, METRICS, Topic, journal
from streams import kafka
from streams.exactly_once.lost import ENDING
from streams.exactly_once.reading import UNLED, end_of, read
from streams.provision import apply, register
from streams.reading import Seen, records
from streams.settings import Settings
from streams.stages import make

T = TypeVar("T")
CATALOG = Path(__file__).parents[3] / "demo" / "catalog.yaml"


class Pipeline:
    """A cluster of its own, and workers on it as processes."""

    def __init__(self, cluster: Environment, folder: Path, registry: RegistryClient) -> None:
        self.cluster = cluster
        self.folder = folder
        self.codec = Codec(registry)
        own = {name: value for name, value in os.environ.items() if not name.startswith("LLMOPT_")}
        self.env = own | cluster.env() | {"LLMOPT_STATE_DIR": str(folder / "state")}
        self.workers = Workers(folder, self.env)

    @property
    def settings(self) -> Settings:
        """What the workers read, too."""
        return Settings.read({n: v for n, v in self.env.items() if n.startswith("LLMOPT_")})

    def start(self, *names: str, **settings: str) -> None:
        """Start workers, under *settings* from now on, and wait until every stage has them."""
        self.env |= {f"LLMOPT_{name.upper()}": value for name, value in settings.items()}
        self.workers.env = self.env
        for name in names:
            self.workers.start(name)
        await_groups(self.settings, self.workers)

    def stop(self) -> list[int | None]:
        """End the workers in order; how each ended."""
        ended = list(self.workers.running.values())
        self.workers.stop()
        return [each.returncode for each in ended]

    def llmopt(self, *words: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run the command as a person would."""
        done = subprocess.run(
            [sys.executable, "-m", "streams", *words],
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

        assert expect in (None, done.returncode), done
        return done

    def json(self, *words: str) -> Any:
        """The document that a command prints."""
        return json.loads(self.llmopt(*words, "--json").stdout)

    def records(self, topic: Topic) -> list[Seen]:
        """What is on *topic*, in the order of its partitions and offsets."""
        found = records(self.settings, self.codec, topic)
        return sorted(found, key=lambda seen: (seen.partition, seen.offset))

    def journal(self, stage: str) -> dict[int, list[JournalRecord]]:
        """The commits of *stage*, by partition."""
        found: dict[int, list[JournalRecord]] = defaultdict(list)
        for seen in self.records(journal(stage)):
            found[seen.partition].append(seen.value)
        return found

    def unread(self, stage: str) -> bool:
        """Whether there are records on the inputs of *stage* that no commit covers.

        It is taken for so where the broker cannot tell: it is away, or a transaction is open, of a
        worker at work or of a dead one.
        """
        try:
            return self._uncovered(f"llmopt.{stage}", make(stage, self.settings)[0].reads)
        except KafkaException as error:
            if error.args[0].code() not in ENDING | UNLED:
                raise
            return True

    def _uncovered(self, group: str, topics: Iterable[Topic]) -> bool:
        with closing(
            kafka.consumer(self.cluster.bootstrap_servers, group, enable_partition_eof=True)
        ) as reader:
            stretches = {}
            for topic in topics:
                seen = reader.list_topics(topic.name, timeout=10).topics[topic.name]
                for partition in seen.partitions:
                    asked = [TopicPartition(topic.name, partition)]
                    (done,) = reader.committed(asked, timeout=10)
                    low, high = end_of(reader, (topic.name, partition))
                    stretches[topic.name, partition] = (max(low, done.offset), high)
            with closing(read(reader, stretches)) as waiting:
                return next(waiting, None) is not None

    def close_windows(self, end: int) -> None:
        """Send one last event to each partition, behind all windows that end by *end*."""
        producer = kafka.producer(self.cluster.bootstrap_servers)
        last = {
            "timestamp": end + 30_000,
            "service": "last",
            "endpoint": "event",
            "model": "gpt-4",
            "provider": "openai",
            "latency_ms": 1,
            "tokens_input": 1,
            "tokens_output": 1,
        }
        for partition in range(4):
            producer.produce(METRICS.name, value=json.dumps(last).encode(), partition=partition)

        assert 0 == producer.flush(30)

    def closed(self, end: int) -> bool:
        """Whether merge has closed all windows that end by *end*."""
        lines = self.journal("merge").values()
        told = [line.watermark or 0 for each in lines for line in each[-1:]]
        return len(told) == 4 and min(told) >= end

    def until(
        self,
        found: Callable[[], T],
        within: float,
        what: str,
        check: Callable[[], None] | None = None,
    ) -> T:
        """What *found* gives as soon as that is true of anything, within so many seconds.

        Meanwhile *check* is called; it fails when a worker has ended unless another one is given.
        """
        deadline = time.monotonic() + within
        while not (value := found()):
            (check or self.workers.check)()
            assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}"
            time.sleep(0.2)
        return value


@pytest.fixture(scope="module")
def pipeline(
    own_servers: None,  # noqa: ARG001 - nothing is started where a Kafka is named
) -> Iterator[Pipeline]:
    """Topics, schemas and the demo's catalog on a cluster that no other module sees."""
    folder = Path(tempfile.mkdtemp(prefix="llmopt-test-"))
    try:
        with (
            Environment.start(folder, say=lambda _: None, database=False) as cluster,
            RegistryClient(cluster.registry_url) as registry,
        ):
            made = Pipeline(cluster, folder, registry)
            apply(made.settings)
            register(made.settings)
            made.llmopt("catalog", "apply", str(CATALOG))
            try:
                yield made
            finally:
                made.workers.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def commits_add_up() -> Callable[[Pipeline, str], dict[int, dict[str, int]]]:
    """Checks the journal of a stage; gives its counts by partition."""
    return check_journal


def check_journal(pipeline: Pipeline, stage: str) -> dict[int, dict[str, int]]:
    """Each partition's journal numbers its commits and covers its input once, without a gap."""
    totals: dict[int, dict[str, int]] = {}
    for partition, lines in sorted(pipeline.journal(stage).items()):
        where = f"{stage}[{partition}]"

        assert list(range(1, len(lines) + 1)) == [line.sequence for line in lines], where
        assert sorted(line.epoch for line in lines) == [line.epoch for line in lines], where
        ends: dict[str, int] = {}
        counts: dict[str, int] = defaultdict(int)
        for line in lines:
            for stretch in line.ranges:
                home = 0 if stretch.topic == COMMANDS.name else partition

                assert (ends.get(stretch.topic, 0), home) == (stretch.start, stretch.partition), (
                    f"{where}, commit {line.sequence}: {stretch}"
                )
                ends[stretch.topic] = stretch.end
            for name, count in line.counts.items():
                counts[name] += count
        totals[partition] = dict(counts)
    return totals

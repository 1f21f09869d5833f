"""Two workers of one name: the older one stops and says why, the newer one goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from infra.environment import Environment
from schemas.codec import Codec
from schemas.rollout import Deployment
from schemas.topics import ANOMALIES, DEPLOYMENTS
from streams import kafka
from streams.app import NAMED_TWICE
from streams.exactly_once.reading import end_of, read

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PARTITIONS = 4


class Counting:
    """Workers that count records, and the records."""

    def __init__(
        self,
        cluster: Environment,
        codec: Codec,
        folder: Path,
        made: Callable[[str, int], Deployment],
    ) -> None:
        self.cluster, self.codec, self.folder, self.made = cluster, codec, folder, made
        self.producer = kafka.producer(cluster.bootstrap_servers)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.sent = 0

    def start(self, log: str) -> subprocess.Popen[bytes]:
        """A worker, of the one name that all have."""
        script = Path(__file__).parent / "counting.py"
        where = (self.cluster.bootstrap_servers, self.cluster.registry_url)
        with (self.folder / log).open("ab") as file:
            command = [sys.executable, str(script), *where, "same"]
            self.workers.append(subprocess.Popen(command, stderr=file))
        return self.workers[-1]

    def told(self, log: str) -> str:
        return (self.folder / log).read_text()

    def send(self) -> None:
        """A few records to each partition."""
        for partition in range(PARTITIONS):
            value = self.codec.encode(DEPLOYMENTS, self.made(f"s{partition}/e", self.sent))
            self.producer.produce(DEPLOYMENTS.name, value=value, partition=partition)
            self.sent += 1
        self.producer.flush(10)

    def until(self, done: Callable[[], Any], seconds: float, *, busy: bool = True) -> None:
        """Send until *done*."""
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline
            if busy:
                self.send()
            time.sleep(0.1)

    def counted(self) -> list[str]:
        reader = kafka.consumer(
            self.cluster.bootstrap_servers, "test.names", enable_partition_eof=True
        )
        try:
            ats = [(ANOMALIES.name, partition) for partition in range(PARTITIONS)]
            found = read(reader, {at: end_of(reader, at) for at in ats})
            return [self.codec.decode(ANOMALIES, each.value()).id for each in found]
        finally:
            reader.close()

    def committed(self) -> int:
        reader = kafka.consumer(self.cluster.bootstrap_servers, "llmopt.detect")
        try:
            asked = [TopicPartition(DEPLOYMENTS.name, p) for p in range(PARTITIONS)]
            return sum(max(0, each.offset) for each in reader.committed(asked, timeout=10))
        finally:
            reader.close()

    def finish(self, worker: subprocess.Popen[bytes]) -> int:
        """Let *worker* count what is left, then end it."""
        self.until(lambda: self.sent == self.committed(), 40, busy=False)
        worker.terminate()
        return worker.wait(20)


@pytest.fixture
def counting(
    cluster: Environment,
    codec: Codec,
    tmp_path: Path,
    deployment: Callable[[str, int], Deployment],
) -> Iterator[Counting]:
    made = Counting(cluster, codec, tmp_path, deployment)
    try:
        yield made
    finally:
        for each in made.workers:
            each.kill()
            each.wait(10)


def counted_once(counting: Counting) -> bool:
    ids = counting.counted()
    return counting.sent == len(ids) == len(set(ids))


def test_of_two_workers_of_one_name_the_older_one_stops_and_says_why(counting: Counting) -> None:
    older = counting.start("older.log")
    counting.until(counting.committed, 30)
    newer = counting.start("newer.log")
    counting.until(lambda: older.poll() is not None or newer.poll() is not None, 60)

    assert (NAMED_TWICE, None) == (older.poll(), newer.poll())
    assert "another worker called same is running" in counting.told("older.log")
    assert "give each its own --name" in counting.told("older.log")
    for _ in range(20):
        counting.send()
    assert 0 == counting.finish(newer)
    assert counted_once(counting)


def test_a_worker_started_again_and_again_under_its_name_goes_on(counting: Counting) -> None:
    for n in range(5):
        worker = counting.start("again.log")
        at = counting.sent
        counting.until(lambda at=at: counting.committed() > at, 40)
        if n < 4:
            worker.kill()

    assert 0 == counting.finish(worker)
    assert counted_once(counting)
    assert "another worker" not in counting.told("again.log")


def test_a_worker_that_was_paused_does_not_stop_its_successor(counting: Counting) -> None:
    paused = counting.start("paused.log")
    counting.until(counting.committed, 30)
    os.kill(paused.pid, signal.SIGSTOP)
    successor = counting.start("successor.log")
    at = counting.sent
    counting.until(lambda: counting.committed() > at, 60)
    os.kill(paused.pid, signal.SIGCONT)
    counting.until(lambda: paused.poll() is not None, 60)

    assert (NAMED_TWICE, None) == (paused.poll(), successor.poll())
    assert 0 == counting.finish(successor)
    assert counted_once(counting)

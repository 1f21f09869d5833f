"""A stage stands behind the markers of transactions: no lag remains, and no record is needed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from infra.environment import Environment
from schemas.codec import Codec
from schemas.rollout import Deployment
from schemas.topics import ANOMALIES, DEPLOYMENTS
from streams import kafka
from streams.exactly_once.reading import end_of, read

Build = Callable[[str, int], Deployment]
pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
AT = (DEPLOYMENTS.name, 0)


def test_a_quiet_topic_that_its_retention_has_emptied_stops_nobody(
    cluster: Environment, codec: Codec, tmp_path: Path, deployment: Build
) -> None:
    send(cluster, codec, deployment("s/e", 1))
    with worker(cluster, tmp_path):
        ended = until_no_lag(cluster)
    empty(cluster)
    with worker(cluster, tmp_path):
        send(cluster, codec, deployment("s/e", 2))
        until_no_lag(cluster)

    assert 2 == ended  # one record, one marker
    assert ["s/e|1", "s/e|2"] == counted(cluster, codec)


class worker:  # noqa: N801  # reads as what it is in a `with`
    """A counting worker that must end well."""

    def __init__(self, cluster: Environment, folder: Path) -> None:
        self.command = [
            *(sys.executable, str(Path(__file__).parent / "counting.py")),
            *(cluster.bootstrap_servers, cluster.registry_url, "w"),
        ]
        self.log = folder / "worker.log"

    def __enter__(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stderr=log)

    def __exit__(self, kind: object, *_: object) -> None:
        self.process.terminate()
        status = self.process.wait(20)
        if kind is None:
            assert 0 == status, self.log.read_text()


def send(cluster: Environment, codec: Codec, record: Deployment) -> None:
    """In a transaction, as another stage would."""
    producer = kafka.transactional_producer(cluster.bootstrap_servers, "test")
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce(
        DEPLOYMENTS.name, key=record.scope, value=codec.encode(DEPLOYMENTS, record), partition=0
    )
    producer.commit_transaction(10)


def until_no_lag(cluster: Environment) -> int:
    """Wait until the group stands at the very end of the partition; return where that is."""
    reader = kafka.consumer(cluster.bootstrap_servers, "llmopt.detect")
    try:
        for _ in range(200):
            _, high = end_of(reader, AT)
            if reader.committed([TopicPartition(*AT)], timeout=10)[0].offset == high:
                return high
            time.sleep(0.1)
    finally:
        reader.close()
    raise AssertionError("the group did not reach the end of its topic")


def empty(cluster: Environment) -> None:
    """Delete every record, as the retention would in time."""
    asked = kafka.admin(cluster.bootstrap_servers)
    for each in asked.delete_records([TopicPartition(*AT, -1)]).values():
        each.result(10)


def counted(cluster: Environment, codec: Codec) -> list[str]:
    reader = kafka.consumer(cluster.bootstrap_servers, "test", enable_partition_eof=True)
    try:
        stretches = {(ANOMALIES.name, p): end_of(reader, (ANOMALIES.name, p)) for p in range(4)}
        return sorted(codec.decode(ANOMALIES, m.value()).id for m in read(reader, stretches))
    finally:
        reader.close()

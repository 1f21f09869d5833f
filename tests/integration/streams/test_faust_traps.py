"""What Faust does wrong on a real broker, and the engine beside it does not."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import NewTopic

from infra.environment import Environment
from schemas.codec import Codec
from schemas.metric import MetricEvent
from schemas.rollout import Deployment
from schemas.topics import ANOMALIES, DEPLOYMENTS, METRICS, TOPICS, Topic, changelog, journal
from schemas.window import MINUTE
from streams import kafka
from streams.app import DEFECT
from streams.exactly_once.reading import end_of, read

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

AT = (DEPLOYMENTS.name, 0)
Build = Callable[[str, int], Deployment]


@pytest.fixture
def worker(cluster: Environment, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A counting worker, with its log beside the test."""
    script = Path(__file__).with_name("counting.py")
    command = [sys.executable, script, cluster.bootstrap_servers, cluster.registry_url, "w"]
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    yield process
    process.kill()
    process.wait(10)


@pytest.fixture
def send(cluster: Environment, codec: Codec, deployment: Build) -> Callable[..., None]:
    """Writes a record of each scope to partition 0, each in a transaction if that is asked for."""

    def write(*scopes: str, transactions: bool = False) -> None:
        values = [codec.encode(DEPLOYMENTS, deployment(each, i)) for i, each in enumerate(scopes)]
        if not transactions:
            producer = kafka.producer(cluster.bootstrap_servers)
            for value in values:
                producer.produce(DEPLOYMENTS.name, value=value, partition=0)
            assert 0 == producer.flush(10)
            return
        producer = kafka.transactional_producer(cluster.bootstrap_servers, "test.traps")
        producer.init_transactions(10)
        for value in values:
            producer.begin_transaction()
            producer.produce(DEPLOYMENTS.name, value=value, partition=0)
            producer.commit_transaction(10)

    return write


def until_read(cluster: Environment, markers: int = 0) -> None:
    """Wait until the group has read what was sent, the last *markers* of transactions aside."""
    reader = kafka.consumer(cluster.bootstrap_servers, "llmopt.detect")
    try:
        _, high = end_of(reader, AT)
        deadline = time.monotonic() + 60
        while reader.committed([TopicPartition(*AT)], timeout=30)[0].offset < high - markers:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        reader.close()


def written(cluster: Environment, codec: Codec, topic: Topic) -> Sequence[object]:
    """What is committed on partition 0 of *topic*."""
    reader = kafka.consumer(cluster.bootstrap_servers, "test.traps", enable_partition_eof=True)
    try:
        at = (topic.name, 0)
        return [
            codec.decode(topic, each.value()) for each in read(reader, {at: end_of(reader, at)})
        ]
    finally:
        reader.close()


def test_a_topic_of_many_transactions_is_not_committed_one_transaction_at_a_time(
    cluster: Environment, codec: Codec, send: Callable[..., None], request: pytest.FixtureRequest
) -> None:
    # Faust's commit stops at each marker: its offset falls behind by one transaction per call.
    send(*(f"s{i % 5}/e" for i in range(60)), transactions=True)
    process = request.getfixturevalue("worker")
    until_read(cluster, markers=1)
    process.terminate()

    assert 0 == process.wait(20)
    assert 60 == len(written(cluster, codec, ANOMALIES))
    assert len(written(cluster, codec, journal("detect"))) < 10


def test_a_step_that_fails_leaves_neither_state_nor_output_nor_offset(
    cluster: Environment,
    codec: Codec,
    send: Callable[..., None],
    worker: subprocess.Popen[bytes],
) -> None:
    # A table of Faust and the output beside it are written apart from each other.
    send("a/e")
    until_read(cluster)
    before = {t.name: len(written(cluster, codec, t)) for t in (ANOMALIES, changelog("detect"))}
    send("a/e", "poison/e", "a/e")

    # Nor does an agent that has crashed keep the process from ending.
    assert DEFECT == worker.wait(60)
    assert before == {name: len(written(cluster, codec, TOPICS[name])) for name in before}
    reader = kafka.consumer(cluster.bootstrap_servers, "llmopt.detect")
    try:
        assert 1 >= reader.committed([TopicPartition(*AT)], timeout=30)[0].offset
    finally:
        reader.close()


def test_an_agent_that_crashed_gets_its_batch_again_and_still_obeys_sigterm(
    cluster: Environment,
    codec: Codec,
    send: Callable[..., None],
    worker: subprocess.Popen[bytes],
    tmp_path: Path,
) -> None:
    send("a/e", "crash/e", "a/e")
    until_read(cluster)
    worker.terminate()

    assert 0 == worker.wait(20)
    assert "as told" in (tmp_path / "worker.log").read_text()
    ids = sorted(each.id for each in written(cluster, codec, ANOMALIES))
    assert ["a/e|1", "a/e|2", "crash/e|1"] == ids


def test_an_agent_without_a_table_loses_its_open_windows_when_it_is_killed(
    cluster: Environment, codec: Codec, tmp_path: Path
) -> None:
    # Faust commits what was read; what was made of it is in memory alone.
    admin = kafka.admin(cluster.bootstrap_servers)
    for made in admin.create_topics([NewTopic(f"test.{n}", 1) for n in ("in", "out")]).values():
        made.result(10)
    event = MetricEvent(
        timestamp=0, service="s", endpoint="e", model="m", provider="p", latency_ms=1.0,
        tokens_input=1, tokens_output=1,
    )  # fmt: skip
    producer = kafka.producer(cluster.bootstrap_servers, compression_type="none")  # it has no lz4

    def write(at: int, times: int) -> None:
        value = codec.encode(METRICS, replace(event, timestamp=at))
        for _ in range(times):
            producer.produce("test.in", value=value)
        assert 0 == producer.flush(10)

    write(MINUTE, 50)
    before = agent(cluster, tmp_path, "before")
    committed = until_committed(cluster, "before", 50)
    before.kill()
    before.wait(10)
    # Instead of the minute for which Faust's dead member would be waited for.
    asked = ConsumerGroupTopicPartitions("after", committed)
    admin.alter_consumer_group_offsets([asked])["after"].result(10)
    write(MINUTE, 30)
    write(5 * MINUTE, 1)
    after = agent(cluster, tmp_path, "after")
    try:
        until_committed(cluster, "after", 81)
    finally:
        after.kill()
        after.wait(10)
    reader = kafka.consumer(cluster.bootstrap_servers, "test.traps", enable_partition_eof=True)
    try:
        at = ("test.out", 0)
        rows = [json.loads(each.value()) for each in read(reader, {at: end_of(reader, at)})]
    finally:
        reader.close()

    assert [(MINUTE, 30)] == [(row["start"], row["count"]) for row in rows]  # of 80


def agent(cluster: Environment, folder: Path, group: str) -> subprocess.Popen[bytes]:
    """The bench's agent of Faust that keeps windows in its own memory."""
    given = {
        "brokers": cluster.bootstrap_servers,
        "topic": "test.in",
        "output": "test.out",
        "group": group,
        "folder": str(folder / group),
        "events": "81",
        "partitions": "1",
    }
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    command = [sys.executable, "-m", "bench.peers.faust_peer", "--windowed", "--own-memory"]
    with (folder / f"{group}.log").open("wb") as log:
        return subprocess.Popen([*command, *words], stdout=log, stderr=log)


def until_committed(cluster: Environment, group: str, offset: int) -> list[TopicPartition]:
    """The offsets of *group* once it has committed so many."""
    reader = kafka.consumer(cluster.bootstrap_servers, group)
    try:
        deadline = time.monotonic() + 60
        while True:
            found = reader.committed([TopicPartition("test.in", 0)], timeout=30)
            if found[0].offset >= offset:
                return list(found)
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        reader.close()

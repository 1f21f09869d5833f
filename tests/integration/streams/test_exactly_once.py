"""Exactly-once is shown by killing: a counting stage must end with the true counts."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from infra.environment import Environment
from schemas.codec import Codec, unpack
from schemas.journal import JournalRecord, Position
from schemas.registry import RegistryClient
from schemas.rollout import Deployment
from schemas.scope import partition_of
from schemas.topics import ANOMALIES, DEPLOYMENTS, changelog, journal
from streams import kafka
from streams.exactly_once.reading import end_of, read
from streams.provision import apply
from streams.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

PARTITIONS = 4
SCOPES = 50
TOTAL = 24_000


@pytest.fixture
def cluster(
    own_servers: None,  # noqa: ARG001 - nothing is started where a Kafka is named
    tmp_path: Path,
) -> Any:
    """A broker of its own, for it is killed."""
    with Environment.start(tmp_path, say=lambda _: None, database=False) as env:
        apply(Settings(bootstrap_servers=env.bootstrap_servers))
        yield env


@pytest.fixture
def codec(cluster: Environment) -> Any:
    with RegistryClient(cluster.registry_url) as registry:
        registry.register_all()
        yield Codec(registry)


def test_counts_are_exact_whatever_is_killed(
    cluster: Environment,
    codec: Codec,
    tmp_path: Path,
    deployment: Callable[[str, int], Deployment],
) -> None:
    chance = random.Random(7)
    workers = {name: start(cluster, tmp_path, name) for name in ("a", "b")}
    kills = 0
    try:
        sent = 0
        producer = kafka.producer(cluster.bootstrap_servers)
        next_kill = time.monotonic() + 3
        deadline = time.monotonic() + 140
        while committed(cluster) < TOTAL and time.monotonic() < deadline:
            for _ in range(min(400, TOTAL - sent)):
                scope = f"s{sent % SCOPES}/e"
                producer.produce(
                    DEPLOYMENTS.name,
                    key=scope,
                    value=codec.encode(DEPLOYMENTS, deployment(scope, sent)),
                    partition=partition_of(scope, PARTITIONS),
                )
                sent += 1
            producer.poll(0)
            time.sleep(0.2)
            if kills < 6 and time.monotonic() > next_kill:
                kills += 1
                next_kill = time.monotonic() + chance.uniform(1.0, 3.0)
                if kills == 3:
                    assert cluster.broker is not None
                    cluster.broker.kill()
                    cluster.broker.restart()
                    continue
                name = chance.choice(sorted(workers))
                kill(workers.pop(name))
                # Half come back under their name, half as a stranger who must wait.
                again = name if chance.random() < 0.5 else f"{name}{kills}"
                workers[again] = start(cluster, tmp_path, again)
        producer.flush(10)
        exits = [code for worker in workers.values() if (code := stop(worker)) != 0]
    finally:
        for worker in workers.values():
            kill(worker)

    expected = Counter(f"s{i % SCOPES}/e" for i in range(TOTAL))

    assert [] == exits
    assert expected == state(cluster, codec)
    assert {f"{s}|{n}" for s, total in expected.items() for n in range(1, total + 1)} == Counter(
        emitted(cluster, codec)
    ).keys()
    assert TOTAL == len(emitted(cluster, codec))
    journal_adds_up(cluster, codec)


def start(cluster: Environment, folder: Path, name: str) -> subprocess.Popen[bytes]:
    script = Path(__file__).parent / "counting.py"
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, str(script), cluster.bootstrap_servers, cluster.registry_url, name],
            stderr=log,
        )


def kill(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.wait(10)


def stop(worker: subprocess.Popen[bytes]) -> int:
    worker.terminate()
    return worker.wait(20)


def committed(cluster: Environment) -> int:
    """How many input records are behind the group's offsets."""
    reader = Consumer({"bootstrap.servers": cluster.bootstrap_servers, "group.id": "llmopt.detect"})
    try:
        ats = [TopicPartition(DEPLOYMENTS.name, p) for p in range(PARTITIONS)]
        done = {each.partition: each.offset for each in reader.committed(ats, timeout=10)}
        # The producer is not transactional: offsets are counts.
        return sum(max(offset, 0) for offset in done.values())
    except Exception:  # noqa: BLE001  # the broker is away for a moment
        return 0
    finally:
        reader.close()


def everything(cluster: Environment, topic: str) -> list[Any]:
    reader = kafka.consumer(cluster.bootstrap_servers, "test", enable_partition_eof=True)
    try:
        ends = {(topic, p): end_of(reader, (topic, p)) for p in range(PARTITIONS)}
        return list(read(reader, ends))
    finally:
        reader.close()


def state(cluster: Environment, codec: Codec) -> Counter[str]:
    """The counts in the changelog, as a takeover would read them."""
    topic = changelog("detect")
    counts: Counter[str] = Counter()
    for message in everything(cluster, topic.name):
        entry = codec.decode(topic, message.value())
        if entry.kind == "Count":
            counts[message.key().decode()] = msgspec.msgpack.decode(entry.payload)["n"]
        else:
            unpack(Position, entry.payload)
    return counts


def emitted(cluster: Environment, codec: Codec) -> list[str]:
    return [codec.decode(ANOMALIES, m.value()).id for m in everything(cluster, ANOMALIES.name)]


def journal_adds_up(cluster: Environment, codec: Codec) -> None:
    """Each partition's journal covers its input once, without a gap, by rising epochs."""
    topic = journal("detect")
    for partition in range(PARTITIONS):
        lines: list[JournalRecord] = [
            codec.decode(topic, m.value())
            for m in everything(cluster, topic.name)
            if m.partition() == partition
        ]

        assert list(range(1, len(lines) + 1)) == [line.sequence for line in lines]
        assert sorted(line.epoch for line in lines) == [line.epoch for line in lines]
        end = 0
        for line in lines:
            for stretch in line.ranges:
                assert end == stretch.start
                end = stretch.end

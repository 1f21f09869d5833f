"""A reset rewinds state and offsets together; what was read before is read and written again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import TopicPartition

from infra.environment import Environment
from schemas.codec import Codec
from schemas.registry import RegistryClient
from schemas.rollout import Deployment
from schemas.scope import partition_of
from schemas.topics import DEPLOYMENTS, changelog
from streams import kafka
from streams.reading import read_all
from streams.settings import Settings

Build = Callable[[str, int], Deployment]
pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture
def settings(cluster: Environment) -> Settings:
    return Settings(
        bootstrap_servers=cluster.bootstrap_servers, schema_registry_url=cluster.registry_url
    )


def llmopt(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    env = {"LLMOPT_BOOTSTRAP_SERVERS": settings.bootstrap_servers}
    env |= {"LLMOPT_SCHEMA_REGISTRY_URL": settings.schema_registry_url}
    return subprocess.run(
        [sys.executable, "-m", "streams", *words],
        env=env, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def servers(settings: Settings) -> tuple[str, str]:
    return settings.bootstrap_servers, settings.schema_registry_url


def produce(settings: Settings, total: int, deployment: Build) -> None:
    with RegistryClient(settings.schema_registry_url) as registry:
        codec = Codec(registry)
        producer = kafka.producer(settings.bootstrap_servers)
        for i in range(total):
            scope = f"s{i % 10}/e"
            value = codec.encode(DEPLOYMENTS, deployment(scope, i))
            producer.produce(
                DEPLOYMENTS.name, key=scope, value=value, partition=partition_of(scope, 4)
            )
        producer.flush(10)


def work_until(settings: Settings, total: int) -> None:
    """Run the counting worker until it has committed *total* records."""
    script = Path(__file__).parent / "counting.py"
    worker = subprocess.Popen(
        [
            sys.executable,
            str(script),
            settings.bootstrap_servers,
            settings.schema_registry_url,
            "w",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 40
        while committed(settings) < total:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        worker.terminate()

        assert 0 == worker.wait(20)
    finally:
        worker.kill()
        worker.wait(10)


def committed(settings: Settings) -> int:
    reader = kafka.consumer(settings.bootstrap_servers, "llmopt.detect")
    try:
        ats = [TopicPartition(DEPLOYMENTS.name, p) for p in range(4)]
        return sum(max(each.offset, 0) for each in reader.committed(ats, timeout=10))
    finally:
        reader.close()


def counts(settings: Settings) -> Counter[str]:
    topic = changelog("detect")
    found: Counter[str] = Counter()
    with RegistryClient(settings.schema_registry_url) as registry:
        codec = Codec(registry)
        for message in sorted(
            read_all(settings, topic), key=lambda each: (each.partition(), each.offset())
        ):
            key = message.key().decode()
            if message.value() is None:
                found.pop(key, None)
                continue
            stored = codec.decode(topic, message.value())
            if stored.kind == "Count":
                found[key] = msgspec.msgpack.decode(stored.payload)["n"]
    return found


def test_after_a_reset_the_stage_counts_again_from_the_beginning(
    settings: Settings, deployment: Build
) -> None:
    produce(settings, 500, deployment)
    work_until(settings, 500)
    before = counts(settings)

    done = llmopt(settings, "reset", "detect")

    assert (0, "") == (done.returncode, done.stderr)
    assert Counter() == counts(settings)
    assert 0 == committed(settings)

    work_until(settings, 500)

    assert {f"s{i}/e": 50 for i in range(10)} == before == counts(settings)


def test_offsets_that_an_operator_moved_are_refused_with_the_command(
    settings: Settings, deployment: Build
) -> None:
    produce(settings, 500, deployment)
    work_until(settings, 500)
    reader = kafka.consumer(settings.bootstrap_servers, "llmopt.detect")
    reader.commit(offsets=[TopicPartition(DEPLOYMENTS.name, 0, 1)], asynchronous=False)
    reader.close()

    script = Path(__file__).parent / "counting.py"
    worker = subprocess.run(
        [sys.executable, str(script), *servers(settings), "w"],
        stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert 65 == worker.returncode
    assert "run `llmopt reset detect` to rewind both together" in worker.stderr

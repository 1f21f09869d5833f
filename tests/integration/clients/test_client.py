"""The client on a real Kafka."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from infra.environment import Environment
from llmopt_client import Change, Client, Config
from schemas.topics import CONFIG, CONFIG_ACK, METRICS, QUALITY, Topic

pytestmark = pytest.mark.integration
DEFAULT = Config(provider="own", model="own-model")


@pytest.fixture(scope="module")
def servers(environment: Environment) -> str:
    """Kafka with the client's topics, which other tests may have made already."""
    admin = AdminClient({"bootstrap.servers": environment.bootstrap_servers})
    wanted = [
        NewTopic(one.name, 4, config=one.config()) for one in (CONFIG, CONFIG_ACK, METRICS, QUALITY)
    ]
    made: dict[str, Future[None]] = admin.create_topics(wanted)
    for future in made.values():
        try:
            future.result(10)
        except KafkaException as error:
            if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                raise
    return environment.bootstrap_servers


Publish = Callable[..., None]


@pytest.fixture
def publish(servers: str) -> Iterator[Publish]:
    """Write configs as the actuator does: in a transaction. What was written is deleted after."""
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "transactional.id": f"test-{time.time_ns()}",
            "partitioner": "murmur2_random",
            "linger.ms": 0,
        }
    )
    producer.init_transactions(10)
    scopes = set()

    def write(
        scope: str, revision: int, model: str = "m", *, epoch: int = 1, **more: object
    ) -> None:
        stable = {"version": f"v{revision}", "provider": "openai", "model": model}
        record = {"scope": scope, "revision": revision, "epoch": epoch, "stable": stable}
        record |= {"updated_at": time.time_ns() // 1_000_000, **more}
        producer.begin_transaction()
        producer.produce(CONFIG.name, json.dumps(record), scope)
        producer.commit_transaction(10)
        scopes.add(scope)

    yield write
    producer.begin_transaction()
    for scope in scopes:
        producer.produce(CONFIG.name, None, scope)
    producer.commit_transaction(10)


@pytest.fixture
def name() -> str:
    """A service that no other test knows."""
    return f"shop{time.time_ns()}"


def wait_for(ready: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


def messages(servers: str, topic: Topic, wanted: Callable[[Any], bool]) -> list[Any]:
    """All JSON messages of a topic so far that are wanted."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "reader",
            "enable.partition.eof": True,  # the end may be a transaction's marker
            "log_level": 0,
        }
    )
    try:
        ends = [
            (p, consumer.get_watermark_offsets(TopicPartition(topic.name, p), 10)[1])
            for p in consumer.list_topics(topic.name, 10).topics[topic.name].partitions
        ]
        left = {p: end for p, end in ends if end}
        consumer.assign([TopicPartition(topic.name, p, 0) for p in left])
        found = []
        while left:
            message = consumer.poll(10)
            assert message is not None
            if message.error() is not None:
                assert KafkaError._PARTITION_EOF == message.error().code()
                left.pop(message.partition(), None)
                continue
            value = message.value()
            if value and value[:1] == b"{" and wanted(row := json.loads(value)):
                found.append(row)
        return found
    finally:
        consumer.close()


def test_a_change_reaches_its_subscribers_within_a_blink(
    servers: str, publish: Publish, name: str
) -> None:
    publish(f"{name}/answer", 1, "first")
    with Client(servers, name, services=[name]) as client:
        assert client.ready(15)
        assert "first" == client.get_config(name, "answer", "u", DEFAULT).model
        seen: list[tuple[float, Change]] = []
        client.subscribe(lambda change: seen.append((time.monotonic(), change)))
        took = []
        for revision in range(2, 22):
            publish(f"{name}/answer", revision, f"model-{revision}")
            committed = time.monotonic()
            wait_for(lambda: len(seen) >= revision - 1)  # noqa: B023  # used at once
            took.append(seen[-1][0] - committed)
            assert f"model-{revision}" == client.get_config(name, "answer", "u", DEFAULT).model

    # How fast is for a bench to say; here it must not wait for a poll of seconds.
    assert sorted(took)[10] < 1.0


def test_an_applied_revision_is_acknowledged_and_an_older_one_is_not(
    servers: str, publish: Publish, name: str
) -> None:
    with Client(servers, name, services=[name]) as client:
        assert client.ready(15)
        publish(f"{name}/answer", 3)
        publish(f"{name}/answer", 2)
        publish(f"{name}/answer", 4, epoch=0)
        publish(f"{name}/answer", 5)
        wait_for(lambda: client.counters()["applied"] == 2)
    acks = messages(servers, CONFIG_ACK, lambda row: row["app"] == name)

    assert [3, 5] == [ack["revision"] for ack in acks]
    assert all(ack["applied_at"] >= ack["updated_at"] > 0 for ack in acks)
    assert {"app", "scope", "revision", "epoch", "applied_at", "updated_at"} == set(acks[0])
    assert 2 == client.counters()["stale"]


def test_a_deleted_scope_falls_back_to_the_default(
    servers: str, publish: Publish, name: str
) -> None:
    producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random"})
    publish(f"{name}/answer", 1)
    with Client(servers, name, services=[name]) as client:
        assert client.ready(15)
        producer.produce(CONFIG.name, None, f"{name}/answer")
        producer.flush(10)
        wait_for(lambda: client.get_config(name, "answer", "u", DEFAULT) == DEFAULT)


def test_garbage_on_the_config_topic_is_passed_over(
    servers: str, publish: Publish, name: str
) -> None:
    producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random"})
    with Client(servers, name, services=[name]) as client:
        assert client.ready(15)
        producer.produce(CONFIG.name, b"{broken", f"{name}/answer")
        producer.produce(CONFIG.name, b"\xff", b"\xff\xfe")
        producer.flush(10)
        publish(f"{name}/answer", 1, "good")
        wait_for(lambda: client.get_config(name, "answer", "u", DEFAULT).model == "good")

    assert 1 <= client.counters()["unusable"]
    for key in (f"{name}/answer".encode(), b"\xff\xfe"):
        producer.produce(CONFIG.name, None, key)
    producer.flush(10)


def test_every_report_arrives_once(servers: str, name: str) -> None:
    with Client(servers, name) as client:
        for i in range(5_000):
            with client.track_request(name, "answer", unit=f"u{i % 50}", default=DEFAULT) as call:
                call.tokens(10, i)
            if i % 10 == 0:
                call.quality(90.0)
    events = messages(servers, METRICS, lambda row: row.get("service") == name)
    scores = messages(servers, QUALITY, lambda row: row.get("service") == name)
    counts = client.counters()

    assert set(range(5_000)) == {event["tokens_output"] for event in events}
    assert (5_000, 500) == (len(events), len(scores))
    assert {event["request_id"] for event in events} > {score["request_id"] for score in scores}
    assert (5_500, 5_500, 0, 0) == (
        *(counts["reported"], counts["delivered"], counts["dropped"], counts["failed"]),
    )


def test_a_start_without_kafka_serves_what_was_known(
    servers: str, publish: Publish, name: str, tmp_path: Path
) -> None:
    publish(f"{name}/answer", 7, "known")
    with Client(servers, name, services=[name], folder=tmp_path) as client:
        assert client.ready(15)
    away = Client("127.0.0.1:1", name, services=[name], folder=tmp_path)
    config = away.get_config(name, "answer", "u", DEFAULT)
    away.close(0.2)

    assert ("known", "v7", 7) == (config.model, config.version, config.revision)

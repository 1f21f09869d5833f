"""The columnar wire, from the client to the pipeline's own reader."""

import time

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from infra.environment import Environment
from llmopt_client import Client, Config
from schemas.decode import decode_events
from schemas.registry import RegistryClient
from schemas.topics import METRICS

pytestmark = pytest.mark.integration


def test_the_pipeline_reads_what_the_client_packs(environment: Environment) -> None:
    servers, name = environment.bootstrap_servers, f"wire{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": servers})
    try:
        admin.create_topics([NewTopic(METRICS.name, 4)])[METRICS.name].result(10)
    except KafkaException as error:
        if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
            raise
    consumer = Consumer({"bootstrap.servers": servers, "group.id": name, "log_level": 0})
    partitions = consumer.list_topics(METRICS.name, 10).topics[METRICS.name].partitions
    consumer.assign(
        [
            TopicPartition(
                METRICS.name,
                p,
                consumer.get_watermark_offsets(TopicPartition(METRICS.name, p), 10)[1],
            )
            for p in partitions
        ]
    )
    with RegistryClient(environment.registry_url) as registry:
        registry.register_all()
        url = environment.registry_url
        with Client(servers, name, wire="batch", registry_url=url) as client:
            for i in range(2_000):
                with client.track_request(
                    name, "answer", unit=f"u{i % 7}", default=Config(provider="p", model="m")
                ) as call:
                    call.tokens(i, 5)
        assert 2_000 == client.counters()["delivered"]
        messages = []
        tokens: list[int] = []
        deadline = time.monotonic() + 20
        while len(tokens) < 2_000 and time.monotonic() < deadline:
            message = consumer.poll(1)
            if message is not None and message.key() == name.encode():
                messages.append(message.value())
                now = time.time_ns() // 1_000_000
                decoded = decode_events(
                    registry, METRICS.name, [message.value()], now, 7 * 86_400_000
                )
                assert () == decoded.rejected
                tokens += decoded.events.values[:, 2].tolist()
        consumer.close()

    assert list(range(2_000)) == sorted(tokens)
    assert len(messages) < 1_000
    assert all(value[:1] == b"\0" for value in messages)

"""An application whose Kafka dies and comes back."""

import json
import time
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from infra.kafka.broker import Broker
from llmopt_client import Client, Config
from schemas.topics import CONFIG, CONFIG_ACK, METRICS

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_servers")]
DEFAULT = Config(provider="p", model="m")


def publish(servers: str, revision: int) -> None:
    config = {"version": f"v{revision}", "provider": "p", "model": f"model-{revision}"}
    record = {"scope": "shop", "revision": revision, "epoch": 1, "stable": config, "updated_at": 1}
    producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random"})
    producer.produce(CONFIG.name, json.dumps(record), "shop")
    assert 0 == producer.flush(10)


def wait_for_model(client: Client, model: str) -> None:
    deadline = time.monotonic() + 20
    while client.get_config("shop", "answer", "u", DEFAULT).model != model:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_every_report_arrives_once_and_configs_go_on_after_a_kill(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "kafka")
    broker.start()
    try:
        servers = broker.bootstrap_servers
        admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        topics = [NewTopic(one.name, 2) for one in (CONFIG, CONFIG_ACK, METRICS)]
        for made in admin.create_topics(topics).values():
            made.result(10)
        del admin
        publish(servers, 1)
        client = Client(servers, "shop")
        assert client.ready(15)
        wait_for_model(client, "model-1")
        longest = 0.0
        for i in range(3_000):
            if i == 1_000:
                broker.kill()
            if i == 2_000:
                broker.start()
            began = time.perf_counter()
            with client.track_request("shop", "answer", default=DEFAULT) as call:
                call.tokens(i, 1)
            longest = max(longest, time.perf_counter() - began)
            time.sleep(0.001)
        assert "model-1" == client.get_config("shop", "answer", "u", DEFAULT).model
        publish(servers, 2)
        wait_for_model(client, "model-2")
        client.close(20)

        counts = client.counters()
        assert (3_000, 3_000, 0) == (counts["reported"], counts["delivered"], counts["failed"])
        assert longest < 0.25
        assert Counter(range(3_000)) == tokens(servers)
    finally:
        broker.stop()


def tokens(servers: str) -> Counter[int]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "reader", "log_level": 0})
    left = {
        p: consumer.get_watermark_offsets(TopicPartition(METRICS.name, p), 10)[1] for p in range(2)
    }
    left = {p: end for p, end in left.items() if end}
    consumer.assign([TopicPartition(METRICS.name, p, 0) for p in left])
    found: Counter[int] = Counter()
    while left:
        message = consumer.poll(10)
        assert message is not None
        found[json.loads(message.value())["tokens_input"]] += 1
        if message.offset() + 1 >= left[message.partition()]:
            del left[message.partition()]
    consumer.close()
    return found

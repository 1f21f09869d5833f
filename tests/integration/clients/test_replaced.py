"""An application that lives on while its Kafka is replaced by an empty one."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from infra.kafka.broker import Broker
from llmopt_client import Client, Config
from schemas.topics import CONFIG, CONFIG_ACK, METRICS

pytestmark = pytest.mark.integration
DEFAULT = Config(provider="p", model="own")


def declare(servers: str) -> None:
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    topics = [NewTopic(one.name, 1) for one in (CONFIG, CONFIG_ACK, METRICS)]
    for made in admin.create_topics(topics).values():
        made.result(10)


def grow(servers: str) -> None:
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    admin.create_partitions([NewPartitions(CONFIG.name, 2)])[CONFIG.name].result(10)


def publish(servers: str, scope: str, revision: int, epoch: int, partition: int = 0) -> None:
    config = {"version": f"v{revision}", "provider": "p", "model": f"{scope}-{revision}"}
    record = {"scope": scope, "revision": revision, "epoch": epoch, "stable": config}
    producer = Producer({"bootstrap.servers": servers})
    producer.produce(CONFIG.name, json.dumps(record), scope, partition)
    assert 0 == producer.flush(10)


def wait_for(ready: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_configs_and_reports_go_on_with_a_new_cluster_at_the_same_address(tmp_path: Path) -> None:
    first = Broker(tmp_path / "first")
    first.start()
    try:
        declare(first.bootstrap_servers)
        for revision in range(38, 41):
            publish(first.bootstrap_servers, "shop", revision, 9)
        publish(first.bootstrap_servers, "search", 41, 9)
        client = Client(first.bootstrap_servers, "app")
        assert client.ready(15)
        assert client.report(service="shop", endpoint="e", model="m", provider="p")
        wait_for(lambda: client.counters()["delivered"] == 1)
    finally:
        first.stop()
    second = Broker(tmp_path / "second", first.port)
    second.start()
    try:
        assert "shop-40" == client.get_config("shop", "e", "u", DEFAULT).model
        declare(second.bootstrap_servers)
        publish(second.bootstrap_servers, "shop", 1, 1)
        wait_for(lambda: client.get_config("shop", "e", "u", DEFAULT).model == "shop-1")
        wait_for(lambda: client.get_config("search", "e", "u", DEFAULT) == DEFAULT)
        publish(second.bootstrap_servers, "shop", 2, 1)
        wait_for(lambda: client.get_config("shop", "e", "u", DEFAULT).model == "shop-2")
        assert client.report(service="shop", endpoint="e", model="m", provider="p")
        wait_for(lambda: client.counters()["delivered"] == 2)
        grow(second.bootstrap_servers)
        publish(second.bootstrap_servers, "late", 1, 1, partition=1)
        wait_for(lambda: client.get_config("late", "e", "u", DEFAULT).model == "late-1")
        assert "shop-2" == client.get_config("shop", "e", "u", DEFAULT).model
        client.close(10)
    finally:
        second.stop()

"""The fleet on a real Kafka: what it says it sent is what is there."""

import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from infra.environment import Environment
from schemas.topics import CONFIG, CONFIG_ACK, METRICS, QUALITY
from simulator.scenario import read
from simulator.truth import read as read_truth

pytestmark = pytest.mark.integration

PARTITIONS = 4
SCENARIO = """
endpoints:
  - {{service: {name}, endpoint: answer, rate: 600, default: openai/gpt-4}}
  - {{service: {name}, endpoint: find, rate: 300, default: openai/gpt-4o, reports_cost: false}}
faults:
  - {{kind: duplicate, strength: 0.05}}
  - {{kind: late, strength: 0.05, delay_s: 60}}
  - {{kind: garbage, strength: 0.02}}
  - {{kind: silent, endpoint: find, start: 2, end: 3, strength: 1}}
"""


def ends(servers: str, topic: str, within: float = 20.0) -> dict[int, int]:
    """The next offset of each partition; one made just now may lack some, or leaders."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "reader", "log_level": 0})
    deadline = time.monotonic() + within
    try:
        while True:
            with suppress(KafkaException):
                found = consumer.list_topics(topic, 10).topics[topic].partitions
                if len(found) >= PARTITIONS:
                    ats = [TopicPartition(topic, p) for p in found]
                    return {at.partition: consumer.get_watermark_offsets(at, 10)[1] for at in ats}
            assert time.monotonic() < deadline, topic
            time.sleep(0.05)
    finally:
        consumer.close()


def since(servers: str, topic: str, begin: dict[int, int]) -> list[tuple[str, bytes]]:
    """Keys and values that came after *begin*."""
    left = {p: end for p, end in ends(servers, topic).items() if end > begin[p]}
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "reader", "log_level": 0})
    consumer.assign([TopicPartition(topic, p, begin[p]) for p in left])
    found = []
    while left:
        message = consumer.poll(10)
        assert message is not None
        assert message.error() is None
        found.append(((message.key() or b"").decode(), message.value()))
        if message.offset() + 1 >= left[message.partition()]:
            del left[message.partition()]
    consumer.close()
    return found


def test_a_run_sends_what_its_truth_says(environment: Environment, tmp_path: Path) -> None:
    servers, name = environment.bootstrap_servers, f"sim{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": servers})
    for topic in (CONFIG, CONFIG_ACK, METRICS, QUALITY):
        made = admin.create_topics([NewTopic(topic.name, PARTITIONS, config=topic.config())])
        with suppress(KafkaException):  # another test was first; reading it says otherwise
            made[topic.name].result(10)
    begin = {topic.name: ends(servers, topic.name) for topic in (METRICS, QUALITY)}
    (tmp_path / "scenario.yaml").write_text(SCENARIO.format(name=name))

    options = f"--bootstrap-servers {servers} --scenario {tmp_path / 'scenario.yaml'} --json"
    options += f" --speed 120 --minutes 8 --seed 3 --truth {tmp_path / 'truth.npz'}"
    done = subprocess.run(
        [sys.executable, "-m", "simulator", *options.split()],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    summary = json.loads(done.stdout)
    truth = read_truth(tmp_path / "truth.npz", read(tmp_path / "scenario.yaml"))
    told = {topic: since(servers, topic, offsets) for topic, offsets in begin.items()}
    litter = [key for key, _ in told[METRICS.name] if key.startswith("garbage-")]
    rows = [json.loads(value) for key, value in told[METRICS.name] if key == name]
    expected = Counter({e.request_id: sends for e, sends in truth.events() if sends})

    assert expected == Counter(row["request_id"] for row in rows)
    assert sorted(truth.garbage) == sorted(litter)
    events = {event.request_id: event for event, _ in truth.events()}
    for row in rows:
        event = events[row["request_id"]]
        assert all(getattr(event, field) == value for field, value in row.items())
    scores = [json.loads(value) for key, value in told[QUALITY.name] if key == name]
    assert Counter(s.request_id for s in truth.scores()) == Counter(s["request_id"] for s in scores)

    assert summary["messages"] == len(rows)
    assert summary["events"] == len(expected)
    assert summary["garbage"] == len(litter) > 0
    assert summary["duplicates"] > 0 < summary["late"]
    assert summary["silent"] > 0
    assert summary["clients"]["delivered"] == len(rows) + len(scores)
    assert all(row["timestamp"] < time.time() * 1_000 for row in rows)

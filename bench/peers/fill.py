"""The events that all contestants read: three minutes of them, and one of each key to close those.

Slow peers read a shorter topic of the same kind. The time of a record is that of its event.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from confluent_kafka import KafkaException
from confluent_kafka.admin import NewTopic

from bench.load import BLOCK, Events, blocks, events, single
from bench.servers import Servers
from schemas.metric import MetricEvent
from schemas.topics import METRICS, TOPICS
from streams import kafka
from streams.clock import now_ms
from streams.provision import apply

MINUTES = 3
MINUTE = 60_000  # ms
AFTERWARDS = 5  # minutes from the last of them to the events that close them


@dataclass(frozen=True, slots=True)
class Filled:
    """A topic that is read to its end."""

    topic: str
    events: int
    last: int  # ms since the epoch: windows that start here or later are still open


def keyed(event: MetricEvent) -> tuple[str | None, ...]:
    """What windows are told apart by."""
    return (
        *(event.service, event.endpoint, event.model, event.provider),
        *(event.config_version, event.cohort),
    )


def fill(at: Servers, topic: str, wanted: int) -> Filled:
    """Write about *wanted* events to a topic, which is created where it is none of ours.

    Every block has a time of its own, so that they lie evenly in the minutes.
    """
    if topic != METRICS.name:
        create(at, topic)
    now = now_ms()
    last = (now - MINUTE) // MINUTE * MINUTE
    first = last - (MINUTES + AFTERWARDS) * MINUTE
    some = events(first)
    each_key = list({keyed(event): event for event in some}.values())
    turns = max(1, (wanted - len(each_key)) // BLOCK)
    producer = kafka.producer(
        at.settings.bootstrap_servers,
        linger_ms=20,
        batch_num_messages=10_000,
        batch_size=1_000_000,
        queue_buffering_max_messages=1_000_000,
    )
    parts = blocks(at.codec, some, "avro")
    for turn in range(turns):
        moment = first + MINUTES * MINUTE * turn // turns
        for key, value in parts[turn % len(parts)].at(moment, turn):
            producer.produce(topic, value, key, timestamp=moment)
        while producer.poll(0) or len(producer) > 500_000:
            producer.poll(0.05)
    closing: Events = single(at.codec, each_key, "avro", 0.0)
    for key, value in closing.at(last, turns):
        producer.produce(topic, value, key, timestamp=last)
    if left := producer.flush(60):
        raise SystemExit(f"{left} messages were not taken by the broker within 60 s.")
    return Filled(topic, turns * BLOCK + len(each_key), last)


def clear(at: Servers) -> None:
    """Leave the metrics as they are and remove all that was made of them, positions included."""
    admin = kafka.admin(at.settings.bootstrap_servers)
    groups = [f"llmopt.{stage}" for stage in ("collect", "merge")]
    for gone in admin.delete_consumer_groups(groups).values():
        with suppress(KafkaException):  # there is none yet
            gone.result(30)
    derived = sorted(TOPICS.keys() - {METRICS.name})
    for deleted in admin.delete_topics(derived).values():
        deleted.result(30)
    deadline = time.monotonic() + 60
    while TOPICS.keys() & admin.list_topics(timeout=10).topics.keys() != {METRICS.name}:
        if time.monotonic() > deadline:
            raise SystemExit("The topics of the last turn were not deleted within 60 s.")
        time.sleep(0.1)
    apply(at.settings)


def create(at: Servers, topic: str) -> None:
    """A topic as wide as those of ours."""
    width = at.settings.partitions_ingest
    admin = kafka.admin(at.settings.bootstrap_servers)
    for made in admin.create_topics([NewTopic(topic, width)]).values():
        made.result(30)

"""Rewind a stage: its offsets and its state together, never one without the other."""

from __future__ import annotations

from typing import Any

from confluent_kafka import ConsumerGroupState, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.topics import changelog, journal
from streams import kafka
from streams.exactly_once.reading import end_of, read
from streams.exactly_once.stage import Stage


class Busy(Exception):
    """The stage still has workers. Stop them first."""


def reset(stage: Stage[Any, Any], brokers: str) -> dict[str, int]:
    """Forget where *stage* stands: state and journal emptied, offsets deleted.

    The next worker starts at the beginning of what the input topics still hold and writes all
    outputs again, under the same record ids.

    Returns:
        Topic → entries deleted from it.

    Raises:
        Busy: the stage's group has members.
        KafkaException: the broker did not do it; run it again.
    """
    admin = AdminClient({"bootstrap.servers": brokers}, logger=kafka.client_log())
    group = admin.describe_consumer_groups([stage.group])[stage.group].result(10)
    if group.members:
        raise Busy(
            f"{stage.group} has {len(group.members)} members; stop the workers that run "
            f"{stage.name}, then reset it"
        )
    deleted = {
        changelog(stage.name).name: _forget_state(stage, brokers),
        journal(stage.name).name: _empty(admin, brokers, journal(stage.name).name),
    }
    if group.state not in (ConsumerGroupState.DEAD, ConsumerGroupState.UNKNOWN):
        admin.delete_consumer_groups([stage.group])[stage.group].result(10)
    return deleted


def _partitions(admin: AdminClient, topic: str) -> list[int]:
    return sorted(admin.list_topics(topic, timeout=10).topics[topic].partitions)


def _forget_state(stage: Stage[Any, Any], brokers: str) -> int:
    """Write a tombstone for every key of the changelog; compaction does the rest."""
    topic = changelog(stage.name).name
    reader = kafka.consumer(brokers, f"{stage.group}.reset", enable_partition_eof=True)
    writer = kafka.producer(brokers)
    keys: set[tuple[int, bytes]] = set()
    try:
        ends = {
            (topic, each): end_of(reader, (topic, each))
            for each in _partitions(AdminClient({"bootstrap.servers": brokers}), topic)
        }
        for message in read(reader, ends):
            at = (message.partition(), message.key())
            keys.discard(at) if message.value() is None else keys.add(at)
        for partition, key in sorted(keys):
            writer.produce(topic, key=key, value=None, partition=partition)
        writer.flush(30)
    finally:
        reader.close()
    return len(keys)


def _empty(admin: AdminClient, brokers: str, topic: str) -> int:
    """Delete every record of a topic that is not compacted."""
    reader = kafka.consumer(brokers, "llmopt.reset")
    try:
        ends = {each: end_of(reader, (topic, each)) for each in _partitions(admin, topic)}
    finally:
        reader.close()
    asked = admin.delete_records([TopicPartition(topic, p, high) for p, (_, high) in ends.items()])
    for future in asked.values():
        future.result(10)
    return sum(high - low for low, high in ends.values())

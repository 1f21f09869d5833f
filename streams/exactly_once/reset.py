"""Rewind a stage: its offsets and its state together, never one without the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from schemas.codec import Codec, unpack
from schemas.errors import Undecodable
from schemas.journal import Position
from schemas.topics import FLOORS, PARTIALS, Topic, changelog, journal, snapshots
from streams import kafka
from streams.exactly_once.changelog import POSITION, entry
from streams.exactly_once.reading import end_of, read, stable_end
from streams.exactly_once.stage import Stage
from streams.exactly_once.takeover import readers
from streams.exactly_once.whole import WHOLE

ALONG = {"collect": ("merge",)}  # what was summed up would be added to what is there already
KEEPS = ("decide", "actuate")  # what was decided long ago must not be decided, or rolled out, again


class Busy(Exception):
    """The stage still has workers. Stop them first."""


def reset(stages: Sequence[Stage[Any, Any]], codec: Codec, brokers: str) -> dict[str, int]:
    """Forget where *stages* stand; the next worker starts at the beginning of their input.

    The outputs are written again, under the same record ids. Those of `KEEPS` alone keep their
    scopes, for revisions must rise, and go on at the end of their input: what was decided long ago
    must not be rolled out again.

    Args:
        stages: A stage and those that must be reset with it, see `ALONG`.
        codec: Reads and writes the changelog.
        brokers: The cluster.

    Returns:
        Topic → entries deleted from it.

    Raises:
        Busy: a stage's group has members.
        KafkaException: the broker did not do it; run it again.
    """
    admin = kafka.admin(brokers)
    for stage in stages:
        _unused(admin, stage)
    deleted: dict[str, int] = {}
    for stage in stages:
        kept = stage.name in KEEPS
        deleted[changelog(stage.name).name] = (
            _skip(stage, codec, admin, brokers) if kept else _forget(stage, codec, admin, brokers)
        )
        for topic in (journal(stage.name), snapshots(stage.name)):
            deleted[topic.name] = _empty(admin, brokers, topic.name)
        group = kafka.group(admin, stage.group)
        if not kept and group.state not in (ConsumerGroupState.DEAD, ConsumerGroupState.UNKNOWN):
            admin.delete_consumer_groups([stage.group])[stage.group].result(10)
    if any(stage.name == "collect" for stage in stages):
        for topic in (PARTIALS, FLOORS):  # windows that are filled anew ask for floors anew
            deleted[topic.name] = _empty(admin, brokers, topic.name)
    return deleted


def _unused(admin: AdminClient, stage: Stage[Any, Any]) -> None:
    group = kafka.group(admin, stage.group)
    if group.members:
        raise Busy(
            f"{stage.group} has {len(group.members)} members; stop the workers that run "
            f"{stage.name}, then reset it"
        )


def _partitions(admin: AdminClient, topic: str) -> list[int]:
    return sorted(admin.list_topics(topic, timeout=10).topics[topic].partitions)


@dataclass(slots=True)
class Found:
    """What a partition of the changelog holds, as far as a reset must know."""

    begins: int = 0  # its first offset
    keys: set[bytes] = field(default_factory=set)
    position: Position | None = None


def _state(
    stage: Stage[Any, Any], codec: Codec, admin: AdminClient, brokers: str
) -> dict[int, Found]:
    """The keys and the position of each partition; broken entries are no obstacle to forgetting."""
    topic = changelog(stage.name)
    ats = [(topic.name, partition) for partition in _partitions(admin, topic.name)]
    with readers(brokers, f"{stage.group}.reset") as (committed, uncommitted):
        ends = stable_end(committed, uncommitted, ats)
        found = {partition: Found(low) for (_, partition), (low, _) in ends.items()}
        for message in read(committed, ends):
            at, key = found[message.partition()], message.key() or b""
            if key == POSITION.encode():
                at.position = _position(codec, topic, message.value()) or at.position
            elif message.value() is None:
                at.keys.discard(key)
            else:
                at.keys.add(key)
    return found


def _position(codec: Codec, topic: Topic, value: bytes | None) -> Position | None:
    try:
        return unpack(Position, codec.decode(topic, value or b"").payload)
    except Undecodable:
        return None


def _forget(stage: Stage[Any, Any], codec: Codec, admin: AdminClient, brokers: str) -> int:
    """Write tombstones for the state, and a position from which only the epoch goes on."""
    topic = changelog(stage.name)
    writer = kafka.producer(brokers)
    count = 0
    for partition, found in _state(stage, codec, admin, brokers).items():
        for key in sorted(found.keys):
            writer.produce(topic.name, key=key, value=None, partition=partition)
            count += 1
        if found.position is not None:
            start = Position(
                sequence=0,
                epoch=found.position.epoch,
                ends={},
                tail={},
                watermark=None,
                begins=found.begins,
            )
            value = codec.encode(topic, entry(start))
            writer.produce(topic.name, key=POSITION.encode(), value=value, partition=partition)
    _sent(writer)
    return count


def _skip(stage: Stage[Any, Any], codec: Codec, admin: AdminClient, brokers: str) -> int:
    """Keep the state; put position and offsets together at the end of the input."""
    topic = changelog(stage.name)
    writer = kafka.producer(brokers)
    reader = kafka.consumer(brokers, stage.group)
    ats = []
    try:
        for partition, found in _state(stage, codec, admin, brokers).items():
            position = found.position
            ends = {each.name: end_of(reader, (each.name, partition))[1] for each in stage.reads}
            ats += [TopicPartition(name, partition, end) for name, end in ends.items()]
            told = {} if position is None else position.ends
            ends |= {name: told[name] for name in WHOLE if name in told}
            epoch = 0 if position is None else position.epoch
            sequence = 0 if position is None else position.sequence
            # The sequence goes on, so that a replay sees that the journal was cut.
            moved = Position(
                sequence=sequence,
                epoch=epoch,
                ends=ends,
                tail={},
                watermark=None,
                begins=found.begins,
            )
            value = codec.encode(topic, entry(moved))
            writer.produce(topic.name, key=POSITION.encode(), value=value, partition=partition)
    finally:
        reader.close()
    asked = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(stage.group, ats)])
    for each in asked[stage.group].result(10).topic_partitions:
        if each.error is not None:
            raise KafkaException(each.error)
    _sent(writer)
    return 0


def _sent(writer: Producer) -> None:
    """Wait until the broker has all that was written.

    Raises:
        KafkaException: it has not; nothing else was changed yet, so the reset can be run again.
    """
    if writer.flush(30):
        raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT))  # noqa: SLF001  # its public name


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

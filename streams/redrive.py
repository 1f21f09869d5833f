"""Send dead letters to their topic again, each once, in one transaction with the position."""

from __future__ import annotations

from dataclasses import dataclass

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from schemas.topics import Topic, dead_letters
from streams import kafka
from streams.clock import now_ms
from streams.exactly_once.errors import Retake
from streams.exactly_once.reading import end_of, read
from streams.exactly_once.split import At
from streams.letters import REDRIVEN, bare, opened
from streams.reading import Unreachable
from streams.settings import Settings

CHUNK = 500  # letters of one transaction


@dataclass(frozen=True, slots=True)
class Redriven:
    """What a redrive did."""

    topic: str
    sent: int
    skipped: int  # letters of a message that another letter of this redrive was of, too


def group_of(topic: Topic) -> str:
    """The group whose offsets say which dead letters of *topic* were sent again."""
    return f"llmopt.redrive.{topic.name}"


def redrive(settings: Settings, topic: Topic, limit: int | None = None) -> Redriven:
    """Send the dead letters of *topic* that were never sent again, in their order.

    Key, value, partition and the message's own headers stay as they were; the header
    `__dlq.redriven` says when. A second redrive beside this one fences it off.

    Args:
        settings: Where the brokers are.
        topic: Where the messages were, and go.
        limit: How many at most; None for all there are now.

    Raises:
        Unreachable: The dead letters were not read to their end.
        KafkaException: No broker answers, or another redrive of this topic has taken over.
    """
    group = group_of(topic)
    # First the producer: it ends what a former redrive left open, so the offsets are final.
    producer = kafka.transactional_producer(settings.bootstrap_servers, group)
    producer.init_transactions(30)
    reader = kafka.consumer(settings.bootstrap_servers, group, enable_partition_eof=True)
    try:
        letters = _letters(reader, topic)[:limit]
        width = len(reader.list_topics(topic.name, timeout=10).topics[topic.name].partitions)
        seen: set[tuple[str, int | None, int | None]] = set()
        sent = 0
        for start in range(0, len(letters), CHUNK):
            chunk = letters[start : start + CHUNK]
            sent += _send(producer, reader, topic, chunk, width=width, seen=seen)
    finally:
        reader.close()
    return Redriven(topic.name, sent, len(letters) - sent)


def waiting(settings: Settings, topic: Topic) -> list[Message]:
    """The dead letters of *topic* that were not sent again yet, in their order.

    Raises:
        Unreachable: as `redrive`.
        KafkaException: No broker answers.
    """
    reader = kafka.consumer(settings.bootstrap_servers, group_of(topic), enable_partition_eof=True)
    try:
        return _letters(reader, topic)
    finally:
        reader.close()


def _letters(reader: Consumer, topic: Topic) -> list[Message]:
    name = dead_letters(topic).name
    listed = reader.list_topics(name, timeout=10).topics[name]
    if listed.error is not None or not listed.partitions:
        raise Unreachable(f"There is no topic {name}: run `llmopt topics apply` first.")
    asked = [TopicPartition(name, partition) for partition in sorted(listed.partitions)]
    stretches: dict[At, tuple[int, int]] = {}
    for each in reader.committed(asked, timeout=10):
        low, high = end_of(reader, (name, each.partition))
        stretches[name, each.partition] = (max(low, each.offset), high)
    try:
        found = list(read(reader, stretches))
    except Retake as error:
        raise Unreachable(f"{name} was not read to its end: {error}.") from error
    return sorted(found, key=lambda m: (m.partition(), m.offset()))


def _send(
    producer: Producer,
    reader: Consumer,
    topic: Topic,
    chunk: list[Message],
    *,
    width: int,
    seen: set[tuple[str, int | None, int | None]],
) -> int:
    """One transaction: the messages, and the position behind their letters."""
    now = str(now_ms()).encode()
    sent = 0
    ends: dict[int, int] = {}
    producer.begin_transaction()
    for message in chunk:
        ends[message.partition()] = message.offset() + 1
        origin = opened(message)
        coordinates = (origin.topic, origin.partition, origin.offset)
        if None not in coordinates and coordinates in seen:
            continue  # several stages wrote the same message off
        seen.add(coordinates)
        known = origin.partition is not None and origin.partition < width
        producer.produce(
            topic.name,
            key=message.key(),
            value=message.value(),
            partition=origin.partition if known else message.partition() % width,
            headers=[*bare(message.headers() or []), (REDRIVEN, now)],
        )
        sent += 1
    name = dead_letters(topic).name
    producer.send_offsets_to_transaction(
        [TopicPartition(name, partition, end) for partition, end in sorted(ends.items())],
        reader.consumer_group_metadata(),
        30,
    )
    producer.commit_transaction(30)
    return sent

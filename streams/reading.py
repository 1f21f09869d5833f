"""Topics as people look at them: from some time on, up to the end as it is now, then done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from schemas.codec import Codec
from schemas.errors import Undecodable
from schemas.topics import Topic
from streams import kafka
from streams.exactly_once.errors import Retake
from streams.exactly_once.reading import end_of, read
from streams.exactly_once.split import At
from streams.settings import Settings

READER = "llmopt.cli"  # nothing is ever committed under it


class Unreachable(Exception):
    """No broker answered in time, or the topic is not there; the sentence says what to do."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A record and where it was."""

    topic: str
    partition: int
    offset: int
    timestamp: int  # ms since the epoch
    key: str
    value: Any  # a dataclass of schemas/, None for a tombstone


def consumer(settings: Settings) -> Consumer:
    """A consumer that belongs to no group and sees committed records only."""
    return kafka.consumer(settings.bootstrap_servers, READER, enable_partition_eof=True)


def ends(reader: Consumer, topics: Sequence[Topic]) -> dict[At, tuple[int, int]]:
    """First and next offset of every partition of *topics*.

    Raises:
        Unreachable: A topic is missing.
        KafkaException: No broker answers.
    """
    found = {}
    for topic in topics:
        listed = reader.list_topics(topic.name, timeout=5).topics[topic.name]
        if listed.error is not None or not listed.partitions:
            raise Unreachable(f"There is no topic {topic.name}: run `llmopt topics apply` first.")
        for partition in sorted(listed.partitions):
            found[topic.name, partition] = end_of(reader, (topic.name, partition))
    return found


def read_all(
    settings: Settings, topic: Topic, *, since: int | None = None, timeout: float = 60.0
) -> list[Message]:
    """All messages of *topic* up to its end as it is now, in the order of their timestamps.

    Args:
        settings: Where the brokers are.
        topic: What to read.
        since: ms since the epoch; only messages from then on. None for all.
        timeout: Seconds without any progress after which to give up.

    Raises:
        Unreachable: The topic is missing or its end was not reached.
        KafkaException: No broker answers.
    """
    reader = consumer(settings)
    try:
        stretches = ends(reader, [topic])
        if since is not None:
            stretches = _from(reader, stretches, since)
        messages = list(read(reader, stretches, timeout))
    except Retake as error:
        raise Unreachable(f"{topic.name} was not read to its end: {error}.") from error
    finally:
        reader.close()
    return sorted(messages, key=lambda m: (m.timestamp()[1], m.partition(), m.offset()))


def records(
    settings: Settings, codec: Codec, topic: Topic, *, since: int | None = None
) -> list[Seen]:
    """The records of *topic* by time; what cannot be decoded is left out.

    Raises:
        Unreachable: as `read_all`.
        KafkaException: as `read_all`.
        RegistryUnavailable: The schema registry does not answer.
    """
    return list(decoded(codec, topic, read_all(settings, topic, since=since)))


def newest(settings: Settings, codec: Codec, topic: Topic) -> dict[str, Seen]:
    """The newest record of each key of a compacted topic, deleted ones left out.

    Raises:
        Unreachable: as `read_all`.
        KafkaException: as `read_all`.
        RegistryUnavailable: as `records`.
    """
    found: dict[str, Seen] = {}
    # Not by time but by offset: a key's records lie in one partition, and clocks may differ.
    for seen in sorted(records(settings, codec, topic), key=lambda s: (s.partition, s.offset)):
        if seen.value is None:
            found.pop(seen.key, None)
        else:
            found[seen.key] = seen
    return dict(sorted(found.items()))


def decoded(codec: Codec, topic: Topic, messages: Sequence[Message]) -> Iterator[Seen]:
    """The messages of *topic* that are records of it, and its tombstones."""
    for message in messages:
        key = (message.key() or b"").decode(errors="replace")
        data = message.value()
        try:
            value = None if data is None else codec.decode(topic, data, key=key)
        except Undecodable:
            continue
        at = message.timestamp()[1]
        yield Seen(topic.name, message.partition(), message.offset(), at, key, value)


class Watch:
    """What comes on some topics from now on.

    Args:
        settings: Where the brokers are.
        codec: Reads the records.
        topics: What to watch.
        back: So many offsets of each partition before now, too.

    Raises:
        Unreachable: A topic is missing.
        KafkaException: No broker answers.
    """

    def __init__(
        self, settings: Settings, codec: Codec, topics: Sequence[Topic], *, back: int = 0
    ) -> None:
        self._codec = codec
        self._topics = {topic.name: topic for topic in topics}
        self._reader = consumer(settings)
        try:
            self._from = ends(self._reader, topics)
            self._reader.assign(
                [
                    TopicPartition(*at, max(low, high - back))
                    for at, (low, high) in self._from.items()
                ]
            )
        except BaseException:
            self._reader.close()
            raise

    def width(self, topic: Topic) -> int:
        """How many partitions *topic* has, one of those watched."""
        return sum(name == topic.name for name, _ in self._from)

    def until(self, wanted: Callable[[Seen], bool], timeout: float) -> Seen | None:
        """The first record that is *wanted*; None when none came within *timeout* seconds."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for message in self._reader.consume(100, timeout=0.1):
                error = message.error()
                if error is not None:
                    if not error.retriable() and error.code() not in kafka.PASSING:
                        raise KafkaException(error)
                    continue
                topic = self._topics[message.topic()]
                for seen in decoded(self._codec, topic, [message]):
                    if wanted(seen):
                        return seen
        return None

    def close(self) -> None:
        """Let the connection go."""
        self._reader.close()


def _from(
    reader: Consumer, stretches: dict[At, tuple[int, int]], since: int
) -> dict[At, tuple[int, int]]:
    """The stretches without what is older than *since*."""
    asked = [TopicPartition(*at, since) for at in stretches]
    starts = {
        (each.topic, each.partition): each.offset
        for each in reader.offsets_for_times(asked, timeout=10)
    }
    return {
        at: (high if starts[at] < 0 else max(low, starts[at]), high)
        for at, (low, high) in stretches.items()
    }

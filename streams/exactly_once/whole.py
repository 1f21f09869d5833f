"""Small global topics that every worker reads whole: the catalog and the commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition

from schemas.catalog import Catalog, Entry
from schemas.codec import Codec
from schemas.consistent import inspect
from schemas.declare import gather
from schemas.errors import InvalidCatalog, Reason, Undecodable
from schemas.flow import Input, Moment
from schemas.topics import CATALOG, COMMANDS, Topic
from streams import kafka
from streams.exactly_once.decode import dead_letter
from streams.exactly_once.errors import Retake
from streams.exactly_once.reading import end_of
from streams.exactly_once.stage import Read, Stage
from streams.log import log

WHOLE = (COMMANDS.name, CATALOG.name)  # of one partition each
PATIENCE = 10.0  # seconds for a topic's end to be reached


@dataclass(slots=True)
class Whole:
    """One partition-0 topic, followed from its start without a group."""

    topic: Topic
    consumer: Consumer
    offset: int = 0  # next offset to read

    @classmethod
    def open(cls, brokers: str, topic: Topic) -> Whole:
        """Start at the topic's beginning."""
        consumer = kafka.consumer(
            brokers, f"llmopt.whole.{topic.name}", auto_offset_reset="earliest"
        )
        low, _ = end_of(consumer, (topic.name, 0))
        consumer.assign([TopicPartition(topic.name, 0, low)])
        return cls(topic, consumer, low)

    def catch_up(self) -> list[Message]:
        """Everything up to the topic's end as it is now; afterwards nothing older is unread.

        Raises:
            Retake: the end was not reached in time.
        """
        _, high = end_of(self.consumer, (self.topic.name, 0))
        if self.offset >= high:
            return []
        found: list[Message] = []
        for _ in range(int(PATIENCE / 0.05)):
            for message in self.consumer.consume(1_000, timeout=0.05):
                if message.error() is None:
                    found.append(message)
                    self.offset = message.offset() + 1
            # A control record at the end is never delivered; the position has passed it.
            position = self.consumer.position([TopicPartition(self.topic.name, 0)])[0].offset
            if max(self.offset, position) >= high:
                self.offset = max(self.offset, high)
                return found
        raise Retake(f"the end of {self.topic.name} was not reached within {PATIENCE:.0f} s")

    def glance(self) -> list[Message]:
        """What has arrived by itself, not asked for; enough while nothing is written."""
        found = [each for each in self.consumer.consume(1_000, timeout=0) if each.error() is None]
        if found:
            self.offset = found[-1].offset() + 1
        return found

    def close(self) -> None:
        """Let the connection go."""
        self.consumer.close()


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that cannot be used, and why."""

    message: Message
    why: Undecodable


def put_aside(
    stage: Stage[Any, Any],
    partition: int,
    refused: Iterable[Refused],
    starts: Mapping[str, int],
    ends: Mapping[str, int] | None = None,
) -> list[Refused]:
    """Those of *refused* that this task sends to the dead letters.

    Every task reads these topics, but there is one letter of each record: the one that partition 0
    of the stage that the topic is left to writes as it passes the record.

    Args:
        stage: Of the task.
        partition: The same.
        refused: Records of any topic.
        starts: Topic → the task's next offset; 0 where it has not passed any yet.
        ends: Topic → the offset before which to stop, for the topics that count; None: all.
    """
    if partition != 0:
        return []
    names = {topic.name for topic in stage.puts_aside}
    found = []
    for each in refused:
        topic, offset = each.message.topic(), each.message.offset()
        last = None if ends is None else ends.get(topic, 0)
        if topic in names and starts.get(topic, 0) <= offset and (last is None or offset < last):
            found.append(each)
    return found


def beside(read: Read, told: Sequence[Input], refused: Iterable[Refused], moment: Moment) -> Read:
    """What a step is given: what was *read* for it, after the commands and letters that are due."""
    dead = (dead_letter(each.message, each.why, moment) for each in refused)
    return Read([*told, *read.inputs], (*dead, *read.dead))


@dataclass(slots=True)
class Entries:
    """The entries of the catalog, record by record of its topic."""

    codec: Codec
    by_key: dict[str, Entry] = field(default_factory=dict)

    def apply(self, message: Message) -> None:
        """Take in one record; the mapping of before is left as it was.

        Raises:
            Undecodable: it cannot be used, by itself or beside the others; nothing has changed.
        """
        key = key_of(message)
        if message.value() is None:
            self.by_key = {each: entry for each, entry in self.by_key.items() if each != key}
            return
        changed = self.by_key | {key: self.codec.decode(CATALOG, message.value(), key=key)}
        try:
            gather(changed, message.offset() + 1)
        except InvalidCatalog as error:
            raise Undecodable(Reason.INVALID_ENTRY, str(error)) from error
        self.by_key = changed


def key_of(message: Message) -> str:
    """The key of a record, as far as it is text."""
    return str((message.key() or b"").decode(errors="replace"))


@dataclass(slots=True)
class Declared:
    """The catalog at every offset that was reached so far."""

    entries: Entries
    current: Catalog = field(default_factory=Catalog)
    refused: list[Refused] = field(default_factory=list)

    def take(self, messages: list[Message], offset: int) -> Catalog:
        """Apply *messages*; an unusable entry is kept aside and changes nothing."""
        if not messages and offset == self.current.offset:
            return self.current
        for message in messages:
            try:
                self.entries.apply(message)
            except Undecodable as error:
                log.error("catalog entry refused", key=key_of(message), why=str(error))
                self.refused.append(Refused(message, error))
        self.current = gather(self.entries.by_key, offset)
        return self.current


@dataclass(slots=True)
class Told:
    """All commands so far, by offset."""

    codec: Codec
    inputs: list[Input] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def take(self, messages: list[Message]) -> None:
        """Remember *messages*; what cannot be read is kept aside."""
        for message in messages:
            try:
                value = self.codec.decode(COMMANDS, message.value() or b"")
                inspect(value)
            except Undecodable as error:
                log.error("command refused", offset=message.offset(), why=str(error))
                self.refused.append(Refused(message, error))
            else:
                self.inputs.append(Input(COMMANDS.name, message.offset(), value, key_of(message)))

    def since(self, start: int, end: int) -> list[Input]:
        """The commands at offsets [start, end)."""
        return [each for each in self.inputs if start <= each.offset < end]

"""The topics of one cluster, as a replay reads them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from confluent_kafka import Consumer, Message

from schemas.catalog import Entry
from schemas.codec import Codec
from schemas.journal import Range
from streams import kafka
from streams.exactly_once.reading import end_of, offset_at, read

MARGIN = 120_000  # ms between a commit's clock and the records of it, at most


class Finding(IntEnum):
    """What a comparison has shown, from best to worst. Without evidence nothing is identical."""

    IDENTICAL = 0
    INCOMPARABLE = 1
    DIFFERENT = 2


class Diverged(Exception):
    """A replayed commit wrote something else; the sentence names the first differing record."""


class Incomparable(Exception):
    """What would be compared is no longer there; the sentence names it, and so does `missing`."""

    def __init__(self, sentence: str, missing: Sequence[Range] = ()) -> None:
        super().__init__(sentence)
        self.missing = tuple(missing)


@dataclass(slots=True)
class Recording:
    """Where the records are, and what to put in the place of some of them."""

    brokers: str
    codec: Codec
    partitions: Mapping[str, int]  # of each topic
    override: Mapping[str, Entry]  # catalog entries that replace the recorded ones

    def reader(self) -> Consumer:
        """A consumer without a group that sees committed records only."""
        return kafka.consumer(self.brokers, "llmopt.replay", enable_partition_eof=True)

    def all_of(self, topic: str, partition: int = 0) -> list[Message]:
        """Every record of a partition."""
        return list(self.since(topic, partition, None))

    def since(
        self, topic: str, partition: int, since: int | None
    ) -> Generator[Message, None, None]:
        """The records of a partition from those of about *since* (ms) on; None: all."""
        reader = self.reader()
        try:
            at = (topic, partition)
            low, high = end_of(reader, at)
            start = low if since is None else max(low, offset_at(reader, at, since - MARGIN))
            yield from read(reader, {at: (start, high)})
        finally:
            reader.close()

    def ends(self, topic: str, partition: int = 0) -> tuple[int, int]:
        """First and next offset of a partition."""
        reader = self.reader()
        try:
            return end_of(reader, (topic, partition))
        finally:
            reader.close()

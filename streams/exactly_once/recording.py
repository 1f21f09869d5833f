"""The topics of one cluster, as a replay reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer, Message

from schemas.catalog import Entry
from schemas.codec import Codec
from streams import kafka
from streams.exactly_once.reading import end_of, read


class Diverged(Exception):
    """A replayed commit wrote something else; the sentence names the first differing record."""


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
        reader = self.reader()
        try:
            at = (topic, partition)
            return list(read(reader, {at: end_of(reader, at)}))
        finally:
            reader.close()

"""A partition without a broker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, Message, TopicPartition


class Log:
    """A partition as clients see it; what is produced is kept aside."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = list(messages)
        self.left: list[Message] = []
        self.produced: list[tuple[str, bytes]] = []

    def get_watermark_offsets(self, at: TopicPartition, *, timeout: float) -> tuple[int, int]:
        assert (0, True) == (at.partition, timeout > 0)
        return 0, len(self.messages)

    def offsets_for_times(
        self, asked: list[TopicPartition], *, timeout: float
    ) -> list[TopicPartition]:
        assert timeout > 0
        (at,) = asked
        later = (m.offset() for m in self.messages if m.timestamp()[1] >= at.offset)
        return [TopicPartition(at.topic, at.partition, next(later, -1))]

    def assign(self, ats: list[TopicPartition]) -> None:
        (at,) = ats
        error = KafkaError(KafkaError._PARTITION_EOF)
        end = Message(topic=at.topic, partition=0, offset=len(self.messages), error=error)
        self.left = [*self.messages[at.offset :], end]

    def consume(self, most: int, timeout: float) -> list[Message]:
        assert timeout < 1
        got, self.left = self.left[:most], self.left[most:]
        return got

    def unassign(self) -> None:
        self.left = []

    def close(self) -> None:
        self.left = []

    def produce(self, topic: str, **words: Any) -> None:
        assert (0, "0") == (words["partition"], words["key"])
        self.produced.append((topic, words["value"]))

    def flush(self, timeout: float) -> int:
        assert timeout > 0
        return 0

"""A worker without transactions, which is wrong: what the others are measured against.

Outputs are flushed, then the group's offsets are committed, as an at-least-once consumer would. All
else is the worker's own. It exists for `bench.checkpoint` only.

    python -m bench.untransacted worker --stages collect,merge
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from streams import kafka
from streams.cli import main
from streams.exactly_once.session import Session

PLAIN = {"transactional.id", "transaction.timeout.ms"}  # what such a producer has no use for
PATIENCE = 10.0  # seconds


@dataclass(slots=True)
class Untransacted:
    """A producer of the engine whose transactions are none."""

    producer: Producer
    failed: list[KafkaError]
    reader: Consumer | None = None
    offsets: list[TopicPartition] = field(default_factory=list)

    @classmethod
    def make(cls, brokers: str, name: str, undelivered: list[KafkaError] | None = None) -> Self:
        """In place of `kafka.transactional_producer`, with the same settings as far as they go."""
        del name
        failed = [] if undelivered is None else undelivered
        producer = kafka.producer(
            brokers,
            linger_ms=0,
            queue_buffering_max_messages=1_000_000,
            delivery_report_only_error=True,
        )
        return cls(producer, failed)

    def init_transactions(self, timeout: float) -> None:
        """Nobody is fenced."""

    def begin_transaction(self) -> None:
        """Nothing begins."""

    def produce(self, topic: str, value: bytes, key: bytes, partition: int, *more: Any) -> None:
        """As the producer does, by place: callbacks, timestamp and headers come last."""
        timestamp, headers = more[-2:]
        self.producer.produce(
            topic, value, key, partition, None, self.delivered, timestamp, headers
        )

    def delivered(self, error: KafkaError | None, message: object) -> None:
        """Remember why a record was not written."""
        del message
        if error is not None:
            self.failed.append(error)

    def poll(self, timeout: float) -> int:
        """As the producer does."""
        return int(self.producer.poll(timeout))

    def send_offsets_to_transaction(
        self, offsets: Sequence[TopicPartition], metadata: object, timeout: float
    ) -> None:
        """Keep them until what they stand for is written."""
        del metadata, timeout
        self.offsets += offsets

    def commit_transaction(self, timeout: float) -> None:
        """Write what there is, then move the group's offsets.

        Raises:
            KafkaException: Something was not written.
        """
        left = self.producer.flush(timeout)
        if left or self.failed or self.reader is None:
            raise KafkaException(KafkaError(KafkaError._FAIL, f"{left} left, {self.failed}"))  # noqa: SLF001  # its public name
        told, self.offsets = self.offsets, []
        self.reader.commit(offsets=told, asynchronous=False)

    def abort_transaction(self, timeout: float) -> None:
        """There is nothing to take back."""


def joined(*asked: Any) -> Session:
    """A session whose producer knows the consumer that it commits the offsets of."""
    session = JOIN(*asked)
    session.producer.reader = session.consumer
    return session


JOIN = Session.join

if __name__ == "__main__":
    kafka.transactional_producer = Untransacted.make
    Session.join = joined  # type: ignore[method-assign, assignment]
    main()

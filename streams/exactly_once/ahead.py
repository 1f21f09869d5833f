"""A round's offsets, put into its transaction while the steps still run."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import TopicPartition

PATIENCE = 10.0  # seconds, of one call into the transaction


@dataclass(slots=True)
class Ahead:
    """Two requests that follow each other, of the four that a commit takes, need no outcome.

    Where the group has met again the broker refuses the offsets, now as later; who takes a
    partition over waits until the transaction with offsets of it has ended.
    """

    thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="offsets")
    )
    sent: Future[None] | None = None

    def send(self, producer: Any, offsets: Sequence[TopicPartition], metadata: object) -> None:
        """Begin the transaction, and hand the offsets in beside what follows.

        Raises:
            KafkaException: The producer cannot begin one.
        """
        producer.begin_transaction()
        self.sent = self.thread.submit(
            producer.send_offsets_to_transaction, offsets, metadata, PATIENCE
        )

    def taken(self) -> Future[None] | None:
        """What is under way, once; None if the transaction has not begun."""
        sent, self.sent = self.sent, None
        return sent

    def close(self) -> None:
        """Let the thread go; a call that hangs keeps it."""
        self.thread.shutdown(wait=False)

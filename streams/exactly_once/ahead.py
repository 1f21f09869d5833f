"""A round's offsets, put into its transaction while the steps still run."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from confluent_kafka import TopicPartition

from streams.exactly_once.mark import mark

if TYPE_CHECKING:
    from streams.exactly_once.round import Work
    from streams.exactly_once.session import Session

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

    def send(self, session: Session, works: Sequence[Work]) -> None:
        """Begin the transaction, and hand the offsets in beside what follows.

        Raises:
            KafkaException: The producer cannot begin one.
        """
        told = offsets(session, [work for work in works if moves(work)])
        if told:
            session.producer.begin_transaction()
            self.sent = self.thread.submit(
                session.producer.send_offsets_to_transaction,
                told,
                session.consumer.consumer_group_metadata(),
                PATIENCE,
            )

    def taken(self) -> Future[None] | None:
        """What is under way, once; None if the transaction has not begun."""
        sent, self.sent = self.sent, None
        return sent

    def close(self) -> None:
        """Let the thread go; a call that hangs keeps it."""
        self.thread.shutdown(wait=False)


def moves(work: Work) -> bool:
    """Whether a task stands somewhere else after its round."""
    return work.ends != work.task.ends


def offsets(session: Session, works: Sequence[Work]) -> list[TopicPartition]:
    """Where the tasks of *works* will stand, each with the mark of its commit."""
    return [
        TopicPartition(
            topic.name,
            work.task.partition,
            work.ends[topic.name],
            mark(session.home.worker, work.task.epoch, work.task.sequence + 1),
        )
        for work in works
        for topic in session.stage.reads
    ]

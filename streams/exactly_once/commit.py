"""One transaction for a round: outputs, state, journal and offsets, all or nothing."""

from __future__ import annotations

import hashlib
import time
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from schemas.flow import Emit, Outcome
from schemas.journal import JournalRecord, Position, Range
from schemas.topics import changelog, journal
from streams import metrics
from streams.exactly_once.ahead import PATIENCE
from streams.exactly_once.changelog import POSITION, entry
from streams.exactly_once.errors import Fenced, Retake, StepFailed
from streams.exactly_once.journal import Record, digests, home, records
from streams.exactly_once.lost import lost
from streams.exactly_once.mark import mark
from streams.exactly_once.relay import overruled
from streams.exactly_once.round import Work
from streams.exactly_once.session import Session
from streams.exactly_once.whole import WHOLE
from streams.letters import REASON


def begin(session: Session, works: Sequence[Work]) -> None:
    """Let the offsets of *works* go ahead of what their steps leave, where that is worth a thread.

    Raises:
        KafkaException: The producer cannot begin a transaction.
    """
    told = offsets(session, [work for work in works if moves(work)])
    if session.ahead is not None and told:
        session.ahead.send(session.producer, told, session.consumer.consumer_group_metadata())


def commit(session: Session, works: Sequence[Work]) -> None:
    """Write what the steps of a round left, and where they stand; then advance the tasks.

    A round that a command of this machine has overtaken meanwhile is not written, but read again.

    Raises:
        Retake: the transaction did not commit, or nobody knows whether it did.
        StepFailed: a work has no outcome, or Kafka will never take what was written.
    """
    stage = session.stage
    kept = _kept(stage.name, works)
    if not kept:
        return
    started, encoding = time.monotonic(), 0.0
    sent = None if session.ahead is None else session.ahead.taken()
    begun = sent is not None
    try:
        for work, left in kept:
            began = time.monotonic()
            written = _encoded(session, work, left)
            encoding += time.monotonic() - began
            if not begun:  # not before: a schema may have to be asked for
                session.producer.begin_transaction()
                begun = True
            produce(session, written, work.task.partition)
        _place(session, [work for work, _ in kept], sent)
        if withdrawn(session):
            return
        session.producer.commit_transaction(PATIENCE)
    except KafkaException as error:
        why = lost(f"committing {stage.name}", _first(session, error, sent), session.undelivered)
        if isinstance(why, Fenced):
            why.newer = session.newer_namesake()
        raise why from error
    metrics.observe("commit_seconds", time.monotonic() - started - encoding, stage=stage.name)
    for work, left in kept:
        work.task.advance(left.state, left.position)
        metrics.count_outcome(stage.name, left.counts)


@dataclass(frozen=True, slots=True)
class Left:
    """What stays of a step when its records are written."""

    state: Any
    counts: Mapping[str, int]
    position: Position


def _kept(stage: str, works: Sequence[Work]) -> list[tuple[Work, Left]]:
    """The works that leave something to commit."""
    kept = []
    for work in works:
        outcome = work.outcome
        if outcome is None:
            raise StepFailed(f"{stage}[{work.task.partition}] was not stepped")
        writes = outcome.emits or outcome.changes or work.read.dead
        if writes or moves(work):
            counts = counted(outcome, work.read.dead)
            position = work.task.position(outcome, work.ends)
            kept.append((work, Left(outcome.state, counts, position)))
    return kept


def _encoded(session: Session, work: Work, left: Left) -> list[Record]:
    """All that a task writes, with its position and the journal's line; the outcome is let go.

    A minute that closes writes tens of thousands of records, which are not to be held as values and
    as bytes for all tasks at once.
    """
    stage, outcome = session.stage.name, work.outcome
    work.outcome = None
    if outcome is None:
        raise StepFailed(f"{stage}[{work.task.partition}] was not stepped")
    found = records(stage, work.task.partition, outcome, work.read.dead, session.codec)
    return [*found, *closing(session, work, left.counts, left.position, found)]


def _place(session: Session, works: Sequence[Work], sent: Future[None] | None) -> None:
    """See that the offsets of all *works* are in the transaction, those *sent* ahead among them."""
    if sent is not None:
        sent.result()
    late = [work for work in works if sent is None or not moves(work)]
    if late:
        session.producer.send_offsets_to_transaction(
            offsets(session, late), session.consumer.consumer_group_metadata(), PATIENCE
        )


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


def withdrawn(session: Session) -> bool:
    """Whether a command of this machine came meanwhile; the round is then aborted, and read again.

    Raises:
        KafkaException: the broker did not answer.
        Retake: it did not take the records in time.
    """
    if not session.stage.obeys:
        return False
    # So that what comes after the look is the end of the transaction alone.
    if left := session.producer.flush(PATIENCE):
        raise Retake(f"committing {session.stage.name}: {left} records were not taken in time")
    if not overruled(session):
        return False
    session.producer.abort_transaction(PATIENCE)
    session.place()
    return True


def _first(session: Session, error: KafkaException, sent: Future[None] | None) -> KafkaException:
    """What was wrong first, where *error* only says that the producer is of no more use.

    Where the offsets that were *sent* ahead were refused, nothing can be produced any more.
    """
    if sent is not None and error.args[0].code() == KafkaError._STATE:  # noqa: SLF001  # its public name
        with suppress(TimeoutError):
            refused = sent.exception(1)
            error = refused if isinstance(refused, KafkaException) else error
    if error.args[0].code() == KafkaError._FATAL:  # noqa: SLF001  # the same
        try:
            session.producer.abort_transaction(1)
        except KafkaException as first:
            return first
    return error


def closing(
    session: Session,
    work: Work,
    counts: Mapping[str, int],
    position: Position,
    out: Sequence[Record],
) -> tuple[Record, Record]:
    """The task's new position, and the journal's line about this commit."""
    stage, partition = session.stage, work.task.partition
    state, diary = changelog(stage.name), journal(stage.name)
    packed = digests(out)
    line = JournalRecord(
        stage=stage.name,
        partition=partition,
        sequence=position.sequence,
        epoch=position.epoch,
        now=work.moment.now,
        seed=work.moment.seed,
        ranges=ranges(work.task.ends, work.ends, partition),
        catalog=work.catalog.offset,
        policy=fingerprint(work.policy, work.catalog.checksum if stage.catalog else ""),
        watermark=position.watermark,
        counts=dict(sorted(counts.items())),
        outputs=len(out),
        checksum=zlib.crc32(packed),
        digests=packed,
    )
    return (
        Record(
            state.name, partition, POSITION.encode(), session.codec.encode(state, entry(position))
        ),
        Record(diary.name, partition, str(partition).encode(), session.codec.encode(diary, line)),
    )


def counted(outcome: Outcome[Any], dead: Sequence[Emit]) -> Mapping[str, int]:
    """What the step has counted, and the dead letters beside it by reason."""
    counts = Counter(outcome.counts)
    for letter in dead:
        reason = dict(letter.headers)[REASON].decode()
        counts.update(("dead_lettered", f"dead_lettered.{reason}"))
    if dead and "read" in counts:
        counts["read"] += len(dead)  # for stages that account for all that they read
    return counts


def ranges(before: dict[str, int], after: dict[str, int], partition: int) -> tuple[Range, ...]:
    """What lies between two positions of a task."""
    return tuple(
        Range(
            topic=topic,
            partition=0 if topic in WHOLE else partition,
            start=before.get(topic, 0),
            end=end,
        )
        for topic, end in sorted(after.items())
        if end > before.get(topic, 0)
    )


def fingerprint(policy: Any, catalog: str) -> str:
    """A checksum of the policy: of its catalog when it has one, else of its values."""
    return catalog or hashlib.blake2b(repr(policy).encode(), digest_size=8).hexdigest()


def produce(session: Session, written: Sequence[Record], origin: int) -> None:
    """Hand the records to the producer; wait while its queue is full."""
    hand, partitions = session.producer.produce, session.home.partitions
    for record in written:
        topic, partition, key, value, headers = record
        if partition is None:
            partition = home(record, partitions, origin)
        told = list(headers) if headers else None
        while True:
            try:  # by place, which costs less than by name
                hand(topic, value, key, partition, None, None, 0, told)
            except BufferError:
                session.producer.poll(0.01)
            else:
                break

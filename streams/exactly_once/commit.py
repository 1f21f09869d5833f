"""One transaction for a round: outputs, state, journal and offsets, all or nothing."""

from __future__ import annotations

import hashlib
import time
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from schemas.flow import Emit, Outcome
from schemas.journal import JournalRecord, Position, Range
from schemas.topics import changelog, journal
from streams import metrics
from streams.exactly_once.changelog import POSITION, entry
from streams.exactly_once.errors import Fenced, StepFailed
from streams.exactly_once.journal import Record, digests, home, records
from streams.exactly_once.lost import lost
from streams.exactly_once.mark import mark
from streams.exactly_once.relay import overruled, relays
from streams.exactly_once.round import Work
from streams.exactly_once.session import Session
from streams.exactly_once.whole import WHOLE
from streams.letters import REASON

PATIENCE = 10.0  # seconds, of one call into the transaction


def commit(session: Session, works: Sequence[Work]) -> None:
    """Write what the steps of a round left, and where they stand; then advance the tasks.

    A round that a command of this machine has overtaken meanwhile is not written, but read again.

    Raises:
        Retake: the transaction did not commit, or nobody knows whether it did.
        StepFailed: a work has no outcome, or Kafka will never take what was written.
    """
    stage = session.stage
    kept = _kept(session, works)
    if not kept:
        return
    started = time.monotonic()
    try:
        session.producer.begin_transaction()
        for work, _, counts, position, out in kept:
            for record in (*out, *closing(session, work, counts, position, out)):
                produce(session, record, work.task.partition)
        session.producer.send_offsets_to_transaction(
            places(session, kept),
            session.consumer.consumer_group_metadata(),
            PATIENCE,
        )
        if withdrawn(session):
            return
        session.producer.commit_transaction(PATIENCE)
    except KafkaException as error:
        why = lost(f"committing {stage.name}", _first(session, error), session.undelivered)
        if isinstance(why, Fenced):
            why.newer = session.newer_namesake()
        raise why from error
    metrics.observe("commit_seconds", time.monotonic() - started, stage=stage.name)
    for work, outcome, counts, position, _ in kept:
        work.task.advance(outcome, position)
        metrics.count_outcome(stage.name, counts)


def _kept(
    session: Session, works: Sequence[Work]
) -> list[tuple[Work, Outcome[Any], Mapping[str, int], Position, list[Record]]]:
    """The works that leave anything: with what they count, where they lead and what they write.

    Raises:
        StepFailed: one has no outcome.
    """
    stage, kept = session.stage, []
    for work in works:
        if work.outcome is None:
            raise StepFailed(f"{stage.name}[{work.task.partition}] was not stepped")
        out = records(stage.name, work.task.partition, work.outcome, work.read.dead, session.codec)
        if out or work.ends != work.task.ends:
            counts = counted(work.outcome, work.read.dead)
            position = work.task.position(work.outcome, work.ends)
            kept.append((work, work.outcome, counts, position, out))
    return kept


def withdrawn(session: Session) -> bool:
    """Whether a command of this machine came meanwhile; the round is then aborted, and read again.

    Raises:
        KafkaException: the broker did not answer.
    """
    if not relays(session.stage):
        return False
    session.producer.flush(PATIENCE)  # what comes after the look is the end of it alone
    if not overruled(session):
        return False
    session.producer.abort_transaction(PATIENCE)
    session.place()
    return True


def places(
    session: Session, kept: Sequence[tuple[Work, Any, Any, Position, Any]]
) -> list[TopicPartition]:
    """The offsets of the input of works once they are committed, marked with whose commit it is."""
    return [
        TopicPartition(
            topic.name,
            work.task.partition,
            work.ends[topic.name],
            mark(session.home.worker, position.epoch, position.sequence),
        )
        for work, _, _, position, _ in kept
        for topic in session.stage.reads
    ]


def _first(session: Session, error: KafkaException) -> KafkaException:
    """What was wrong first, where *error* only says that the producer is of no more use."""
    if error.args[0].code() == KafkaError._FATAL:  # noqa: SLF001  # its public name
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


def produce(session: Session, record: Record, origin: int) -> None:
    """Hand *record* to the producer; wait while its queue is full."""
    while True:
        try:
            session.producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                partition=home(record, session.home.partitions, origin),
                headers=list(record.headers) or None,
            )
        except BufferError:
            session.producer.poll(0.01)
        else:
            return

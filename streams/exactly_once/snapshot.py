"""Copies of a task's changelog, made beside the commits, and how a replay finds one."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException

from schemas.codec import Codec, unpack
from schemas.journal import Position
from schemas.snapshot import Snapshot, SnapshotEntry
from schemas.topics import Topic, changelog, snapshots
from streams import kafka
from streams.exactly_once.changelog import POSITION, value_of
from streams.exactly_once.errors import Retake
from streams.exactly_once.reading import end_of, offset_at, read
from streams.exactly_once.split import At
from streams.exactly_once.stage import Stage

PIECE = 1_000_000  # bytes of entries
LAG = int(changelog("collect").settings["min.compaction.lag.ms"]) / 1_000
SPAN = 7_200_000  # ms that are looked through at first


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy holds."""

    sequence: int
    entries: int
    bytes: int


def copy(stage: str, partition: int, codec: Codec, brokers: str, at: int) -> Copied | None:
    """Put the changelog of a partition, as its last commit left it, on the stage's snapshots.

    The worker that owns the partition may commit meanwhile: it is neither waited for nor held up.

    Args:
        stage: The stage's name.
        partition: Of its input.
        codec: Reads the changelog, writes the snapshot.
        brokers: The cluster.
        at: The clock, ms since the epoch.

    Returns:
        What was copied; None when there is no commit yet.

    Raises:
        Retake: it took so long that compaction could have taken entries away meanwhile, or what is
            stable ends within a commit.
        KafkaException: the broker did not do it.
    """
    source, target = changelog(stage), snapshots(stage)
    started = time.monotonic()
    entries = _entries(brokers, source, partition)
    if time.monotonic() - started > LAG / 2:
        raise Retake(f"reading {source.name}[{partition}] took more than {LAG / 2:.0f} s")
    if POSITION not in entries:
        return None
    position = unpack(Position, codec.decode(source, entries[POSITION]).payload)
    if position.sequence == 0:
        return None
    names = [POSITION, *sorted(entries.keys() - {POSITION})]
    pieces = list(_pieces([SnapshotEntry(key=name, value=entries[name]) for name in names]))
    writer = kafka.producer(brokers)
    for i, piece in enumerate(pieces):
        value = Snapshot(
            stage=stage,
            partition=partition,
            sequence=position.sequence,
            at=at,
            piece=i,
            pieces=len(pieces),
            entries=tuple(piece),
        )
        writer.produce(
            target.name,
            key=str(partition),
            value=codec.encode(target, value),
            partition=partition,
            timestamp=at,
        )
    if writer.flush(30):
        raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT))  # noqa: SLF001  # its public name
    return Copied(position.sequence, len(names), sum(map(len, entries.values())))


def _entries(brokers: str, topic: Topic, partition: int) -> dict[str, bytes]:
    reader = kafka.consumer(brokers, "llmopt.snapshots", enable_partition_eof=True)
    found: dict[str, bytes] = {}
    key = POSITION
    try:
        at = (topic.name, partition)
        for message in read(reader, {at: end_of(reader, at)}):
            key, value = (message.key() or b"").decode(), message.value()
            if value is None:
                found.pop(key, None)
            else:
                found[key] = value
    finally:
        reader.close()
    # The position is what a commit writes last. A dead owner's open transaction hides the rest.
    if key != POSITION:
        raise Retake(f"a transaction is open in {topic.name}[{partition}]")
    return found


def _pieces(entries: Sequence[SnapshotEntry]) -> Iterator[list[SnapshotEntry]]:
    piece, size = list[SnapshotEntry](), 0
    for each in entries:
        if piece and size + len(each.value) > PIECE:
            yield piece
            piece, size = [], 0
        piece.append(each)
        size += len(each.key) + len(each.value)
    yield piece


@dataclass(frozen=True, slots=True)
class Kept:
    """A whole copy, as it was written."""

    sequence: int
    at: int
    raw: Mapping[str, bytes]

    def position(self, stage: Stage[Any, Any], codec: Codec) -> Position:
        """Where the task stood.

        Raises:
            OutOfStep: another version has written it.
        """
        found: Position = value_of(stage, codec, self.raw[POSITION], POSITION, self._where(stage))
        return found

    def entries(self, stage: Stage[Any, Any], codec: Codec) -> dict[str, Any]:
        """The entries of the state.

        Raises:
            OutOfStep: another version has written one.
        """
        where = self._where(stage)
        return {
            key: value_of(stage, codec, value, key, where)
            for key, value in self.raw.items()
            if key != POSITION
        }

    def _where(self, stage: Stage[Any, Any]) -> str:
        return f"{snapshots(stage.name).name}, commit {self.sequence}"


def latest(
    reader: Consumer, codec: Codec, stage: str, partition: int, since: int, before: int
) -> Kept | None:
    """The newest whole copy made at *since* (ms) or earlier, of a commit before *before*."""
    at = (snapshots(stage).name, partition)
    low, high = end_of(reader, at)
    end, span = min(offset_at(reader, at, since + 1), high), SPAN
    while low < end:
        start = max(low, min(offset_at(reader, at, since - span), end))
        found = (k for k in whole(reader, codec, stage, at, (start, end)) if k.sequence < before)
        best = max(found, key=lambda kept: kept.sequence, default=None)
        if best is not None or start == low:
            return best
        span *= 4
    return None


def whole(
    reader: Consumer, codec: Codec, stage: str, at: At, stretch: tuple[int, int]
) -> Generator[Kept, None, None]:
    """The copies that are whole within the offsets [start, end)."""
    open_: dict[tuple[int, int], dict[int, Snapshot]] = {}
    for message in read(reader, {at: stretch}):
        piece: Snapshot = codec.decode(snapshots(stage), message.value())
        name = (piece.sequence, piece.at)
        held = open_.setdefault(name, {})
        held[piece.piece] = piece
        if len(held) == piece.pieces:
            del open_[name]
            raw = {e.key: e.value for _, each in sorted(held.items()) for e in each.entries}
            yield Kept(*name, raw)

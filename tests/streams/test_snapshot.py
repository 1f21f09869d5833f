from __future__ import annotations

from itertools import pairwise

import pytest
from confluent_kafka import Message

from schemas.codec import Codec
from schemas.journal import Position
from schemas.registry import LocalRegistry
from schemas.snapshot import Snapshot, SnapshotEntry
from schemas.topics import changelog, snapshots
from streams.exactly_once import snapshot
from streams.exactly_once.changelog import POSITION, entry
from streams.exactly_once.errors import Retake
from streams.exactly_once.snapshot import PIECE, copy, latest
from streams.settings import Settings
from streams.snapshots import Snapshots
from tests.streams.log import Log

CODEC = Codec(LocalRegistry())
STAGE = "detect"
MINUTE, HOUR = 60_000, 3_600_000


def position(sequence: int) -> bytes:
    stands = Position(sequence=sequence, epoch=1, ends={}, tail={}, watermark=None)
    return CODEC.encode(changelog(STAGE), entry(stands))


def changes(*log: tuple[str, bytes | None]) -> Log:
    return Log(
        [
            Message(topic=changelog(STAGE).name, partition=0, offset=i, key=k.encode(), value=v)
            for i, (k, v) in enumerate(log)
        ]
    )


def copied(monkeypatch: pytest.MonkeyPatch, log: Log) -> list[Snapshot]:
    monkeypatch.setattr(snapshot.kafka, "consumer", lambda *_, **__: log)
    monkeypatch.setattr(snapshot.kafka, "producer", lambda *_: log)
    copy(STAGE, 0, CODEC, "nowhere:1", 1_000)
    return [CODEC.decode(snapshots(STAGE), data) for _, data in log.produced]


def test_a_copy_is_what_compaction_would_leave_of_whole_commits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = changes(
        ("b", b"1"),
        ("a", b"2"),
        (POSITION, position(1)),
        ("b", b"3"),
        ("a", None),
        ("c", b"4"),
        (POSITION, position(2)),
    )
    (made,) = copied(monkeypatch, log)

    assert (2, 1_000, 0, 1) == (made.sequence, made.at, made.piece, made.pieces)
    assert [(POSITION, position(2)), ("b", b"3"), ("c", b"4")] == [
        (each.key, each.value) for each in made.entries
    ]


def test_a_large_state_is_copied_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    log = changes(*((f"k{i}", bytes(PIECE // 3 - 100)) for i in range(7)), (POSITION, position(1)))
    made = copied(monkeypatch, log)

    assert [(0, 3), (1, 3), (2, 3)] == [(each.piece, each.pieces) for each in made]
    assert [POSITION, *(f"k{i}" for i in range(7))] == [e.key for m in made for e in m.entries]
    assert all(sum(len(e.value) for e in each.entries) <= PIECE for each in made)


@pytest.mark.parametrize("log", [changes(), changes((POSITION, position(0)))])
def test_where_nothing_was_committed_nothing_is_copied(
    monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    assert [] == copied(monkeypatch, log)


def test_half_a_commit_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    log = changes((POSITION, position(1)), ("a", b"1"))
    with pytest.raises(Retake, match="a transaction is open"):
        copied(monkeypatch, log)

    assert [] == log.produced


def kept(*pieces: tuple[int, int, int, int]) -> Log:
    """Pieces as (sequence, at, piece, pieces)."""
    topic = snapshots(STAGE)
    messages = []
    for offset, (sequence, at, piece, of) in enumerate(pieces):
        value = Snapshot(
            stage=STAGE,
            partition=0,
            sequence=sequence,
            at=at,
            piece=piece,
            pieces=of,
            entries=(SnapshotEntry(key=f"{sequence}.{piece}", value=b"x"),),
        )
        written = CODEC.encode(topic, value)
        stamp = (1, at)
        messages.append(
            Message(topic=topic.name, partition=0, offset=offset, value=written, timestamp=stamp)
        )
    return Log(messages)


@pytest.mark.parametrize(
    ("since", "before", "expected"),
    [
        (30 * HOUR, 99, 7),
        (30 * HOUR, 7, 5),  # the newer one is of a commit that is to be compared
        (29 * HOUR, 99, 5),
        (20 * HOUR, 99, 3),  # far behind: only pieces of another one are nearer
        (2 * HOUR, 99, 3),
        (2 * HOUR - 1, 99, None),
        (99 * HOUR, 3, None),
    ],
)
def test_the_newest_whole_copy_from_before_is_found(
    since: int, before: int, expected: int | None
) -> None:
    log = kept(
        (3, 2 * HOUR, 0, 2),
        (3, 2 * HOUR, 1, 2),
        (4, 19 * HOUR, 0, 2),  # its copier died
        (5, 21 * HOUR, 0, 1),
        (7, 30 * HOUR, 1, 2),
        (7, 30 * HOUR, 0, 2),
    )
    found = latest(log, CODEC, STAGE, 0, since, before)  # type: ignore[arg-type]

    assert expected == (None if found is None else found.sequence)
    if found is not None:
        assert [f"{expected}.{i}" for i in range(len(found.raw))] == list(found.raw)


def test_each_partition_is_copied_once_an_interval_at_its_own_time() -> None:
    copies = Snapshots(Settings(snapshot_interval_ms=HOUR), [])
    made: dict[int, list[int]] = {partition: [] for partition in range(12)}
    for minute in range(24 * 60):
        for partition in copies.due(STAGE, range(12), minute * MINUTE):
            made[partition].append(minute)

    for minutes in made.values():
        assert len(minutes) in (23, 24)
        assert {60} == {b - a for a, b in pairwise(minutes)}
    assert len({minutes[0] for minutes in made.values()}) > 6


def test_what_a_worker_does_not_own_it_does_not_copy() -> None:
    copies = Snapshots(Settings(snapshot_interval_ms=HOUR), [])

    assert [] == copies.due(STAGE, [0, 1], 0)
    assert [1] == copies.due(STAGE, [1], 2 * HOUR)
    assert [] == copies.due(STAGE, [1], 2 * HOUR + 1)
    assert [0] == copies.due(STAGE, [0, 1], 2 * HOUR + 2)

"""Where a replay of one partition starts, and which commits it meets from there."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from schemas.journal import JournalRecord, Position, Range
from schemas.topics import COMMANDS, journal, snapshots
from streams.exactly_once.errors import OutOfStep
from streams.exactly_once.reading import end_of
from streams.exactly_once.recording import Incomparable, Recording
from streams.exactly_once.snapshot import Kept, latest, whole
from streams.exactly_once.stage import Stage
from streams.exactly_once.task import Task

Lines = Generator[tuple[int, JournalRecord], None, None]


@dataclass(frozen=True, slots=True)
class Asked:
    """One partition of a stage, and the clock of the commits that are to be compared."""

    stage: Stage[Any, Any]
    recording: Recording
    partition: int
    since: int | None  # ms, inclusive; None: from the first commit on
    until: int | None  # ms, exclusive

    @property
    def name(self) -> str:
        """For sentences."""
        return f"{self.stage.name}[{self.partition}]"

    def lines(self, since: int | None) -> Lines:
        """The journal from about *since* (ms) on, with offsets; None: whole."""
        topic = journal(self.stage.name)
        with closing(self.recording.since(topic.name, self.partition, since)) as messages:
            for message in messages:
                yield message.offset(), self.recording.codec.decode(topic, message.value())

    def cut(self, sentence: str, start: int, end: int) -> Incomparable:
        """What is wrong when the journal lacks its offsets [start, end)."""
        gone = Range(
            topic=journal(self.stage.name).name, partition=self.partition, start=start, end=end
        )
        return Incomparable(f"the journal of {self.name} {sentence}", [gone])


@dataclass(frozen=True, slots=True)
class Start:
    """A task as a commit left it, and about when the next commit was at the earliest."""

    task: Task
    since: int | None = None  # ms


def begin(asked: Asked) -> Start | None:
    """Where to start to meet all commits that are asked for; None when there are none.

    That is at the newest copy of the state from before them; without one at the first commit of
    all, while the journal still has it.

    Raises:
        Incomparable: the journal does not hold the whole range, or there is no such copy.
        Retake: the broker did not answer in time.
    """
    oldest = _first(asked.lines(None))
    if oldest is None:
        low, high = asked.recording.ends(journal(asked.stage.name).name, asked.partition)
        if low:
            raise asked.cut("is empty: retention or a reset has deleted it", 0, high)
        return None
    at_oldest, line = oldest
    since = asked.since
    first = line
    if since is not None and line.now < since:
        found = _first(asked.lines(since), since)
        if found is None:
            return None
        _, first = found
    start = None if since is None or first.sequence == 1 else _restored(asked, first.sequence)
    # What came before the oldest may be of the range, unless the copy says that it is older.
    reached = 0 if start is None else start.task.sequence
    if first is line and reached < line.sequence - 1:
        raise asked.cut(f"begins with commit {line.sequence}", 0, at_oldest)
    if asked.until is not None and first.now >= asked.until:
        return None
    if start is None and line.sequence > 1:
        raise Incomparable(
            f"no copy of the state of {asked.name} is left from before commit {first.sequence}, "
            f"and its journal begins with commit {line.sequence}",
            asked.cut("", 0, at_oldest).missing,
        )
    return start or Start(_fresh(asked))


def following(asked: Asked, start: Start) -> Iterator[JournalRecord]:
    """The commits after *start*, one by one.

    Raises:
        Incomparable: one is missing.
    """
    expected, before = start.task.sequence + 1, 0
    for since in dict.fromkeys((start.since, None)):
        with closing(asked.lines(since)) as lines:
            for offset, line in lines:
                if line.sequence == expected:
                    yield line
                    expected += 1
                elif line.sequence > expected or expected > start.task.sequence + 1:
                    break
                before = offset + 1
            else:
                return
        if expected > start.task.sequence + 1:
            break
    raise asked.cut(
        f"goes from commit {expected - 1} to {line.sequence}: retention or a reset has cut it",
        before,
        offset,
    )


def earliest(asked: Asked) -> int | None:
    """The clock (ms) from which on commits and all that they read are there; None: not yet."""
    stage, recording = asked.stage, asked.recording
    oldest = _first(asked.lines(None))
    if oldest is None:
        return None
    reader = recording.reader()
    try:
        at = (snapshots(stage.name).name, asked.partition)
        stretch = end_of(reader, at)
        lows = {each.name: end_of(reader, (each.name, asked.partition))[0] for each in stage.reads}
        with closing(whole(reader, recording.codec, stage.name, at, stretch)) as found:
            for kept in found:
                try:
                    position = kept.position(stage, recording.codec)
                except OutOfStep:
                    continue
                read = dict(position.ends) | dict(position.tail)  # a tail begins before the end
                there = all(read.get(name, low) >= low for name, low in lows.items())
                if there and kept.sequence >= oldest[1].sequence - 1:
                    return _after(asked, kept)
    finally:
        reader.close()
    return None


def _after(asked: Asked, kept: Kept) -> int:
    """The clock (ms) from which on all commits come after a copy.

    A copier reads on while commits are made, so that some of its copy may be of a later clock.
    """
    at = kept.at
    with closing(asked.lines(kept.at)) as lines:
        for _, line in lines:
            if line.sequence > kept.sequence:
                break
            at = max(at, line.now + 1)
    return at


def _first(lines: Lines, since: int | None = None) -> tuple[int, JournalRecord] | None:
    with closing(lines):
        return next((each for each in lines if since is None or each[1].now >= since), None)


def _fresh(asked: Asked) -> Task:
    return Task(partition=asked.partition, state=asked.stage.fresh(), ends={})


def _restored(asked: Asked, before: int) -> Start | None:
    """The newest copy of the state that is old enough and can be read."""
    stage, recording = asked.stage, asked.recording
    reader = recording.reader()
    try:
        kept = latest(
            reader, recording.codec, stage.name, asked.partition, asked.since or 0, before
        )
        if kept is None:
            return None
        position: Position = kept.position(stage, recording.codec)
        state = stage.restore(kept.entries(stage, recording.codec))
    except OutOfStep:
        return None  # another version has written it
    finally:
        reader.close()
    task = Task(
        partition=asked.partition,
        state=state,
        ends={name: end for name, end in position.ends.items() if name != COMMANDS.name},
        sequence=position.sequence,
        epoch=position.epoch,
        tail=position.tail,
        watermark=position.watermark,
    )
    return Start(task, kept.at)

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import Message

from schemas.codec import Codec
from schemas.journal import JournalRecord, Position, Range
from schemas.registry import LocalRegistry
from schemas.topics import METRICS, journal
from streams.agents import detect
from streams.exactly_once import begin as beginning
from streams.exactly_once.begin import Asked, Start, begin, earliest, following
from streams.exactly_once.recording import Incomparable
from streams.exactly_once.tape import held
from streams.exactly_once.task import Task
from streams.settings import Settings

STAGE = detect.stage(Settings())
JOURNAL = journal(STAGE.name)


class Nothing:
    """A topic on which nothing ever was."""

    def get_watermark_offsets(self, *_: object, timeout: float) -> tuple[int, int]:
        assert timeout > 0
        return 0, 0

    def offsets_for_times(self, asked: list[Any], *, timeout: float) -> list[Any]:
        assert timeout > 0
        return asked

    def close(self) -> None:
        pass


@dataclass
class Diary:
    """A recording of one journal: its lines by (offset, commit, clock), and no copies."""

    lines: list[tuple[int, int, int]]
    low: int = 0
    codec: Codec = Codec(LocalRegistry())  # noqa: RUF009  # nobody changes it

    def since(
        self, topic: str, partition: int, since: int | None
    ) -> Generator[Message, None, None]:
        assert (JOURNAL.name, 0) == (topic, partition)
        for offset, sequence, now in self.lines:
            line = JournalRecord(
                stage=STAGE.name,
                partition=0,
                sequence=sequence,
                epoch=1,
                now=now,
                seed=0,
                ranges=(),
                catalog=0,
                policy="",
                watermark=None,
            )
            if since is None or now >= since:
                value = self.codec.encode(JOURNAL, line)
                yield Message(topic=topic, partition=0, offset=offset, value=value)

    def ends(self, topic: str, partition: int = 0) -> tuple[int, int]:
        assert (JOURNAL.name, 0) == (topic, partition)
        return self.low, max([self.low, *(offset + 2 for offset, _, _ in self.lines)])

    def reader(self) -> Nothing:
        return Nothing()


def asked(diary: Diary, since: int | None = None, until: int | None = None) -> Asked:
    return Asked(STAGE, diary, 0, since, until)  # type: ignore[arg-type]


WHOLE = [(0, 1, 100), (2, 2, 200), (4, 3, 300)]
CUT = [(8, 5, 500), (10, 6, 600)]


@pytest.mark.parametrize(
    ("since", "until", "starts"),
    [
        (None, None, True),
        (200, None, True),
        (301, None, False),
        (None, 100, False),
        (201, 300, False),
        (201, 301, True),
    ],
)
def test_a_range_of_a_whole_journal_starts_at_the_first_commit_or_is_empty(
    since: int | None, until: int | None, *, starts: bool
) -> None:
    found = begin(asked(Diary(WHOLE), since, until))

    assert starts == (found is not None)
    if found is not None:
        assert 0 == found.task.sequence


def test_where_nothing_was_ever_committed_there_is_nothing_to_start() -> None:
    assert begin(asked(Diary([]))) is None


@pytest.mark.parametrize(
    ("diary", "since", "said", "gone"),
    [
        (Diary([], low=8), None, "is empty", (0, 8)),
        (Diary([], low=8), 900, "is empty", (0, 8)),
        (Diary(CUT, low=8), None, "begins with commit 5", (0, 8)),
        (Diary(CUT, low=8), 400, "begins with commit 5", (0, 8)),
        (Diary(CUT, low=8), 500, "begins with commit 5", (0, 8)),
        (Diary(CUT, low=8), 501, "no copy of the state of detect\\[0\\] is left", (0, 8)),
    ],
)
def test_a_range_that_is_not_whole_is_not_begun(
    diary: Diary, since: int | None, said: str, gone: tuple[int, int]
) -> None:
    with pytest.raises(Incomparable, match=said) as raised:
        begin(asked(diary, since))

    start, end = gone
    assert (Range(topic=JOURNAL.name, partition=0, start=start, end=end),) == raised.value.missing


def after(sequence: int, since: int | None = None) -> Start:
    return Start(Task(partition=0, state=None, ends={}, sequence=sequence), since)


def test_commits_follow_from_the_one_that_the_state_is_of() -> None:
    lines = list(following(asked(Diary(WHOLE)), after(1)))

    assert [2, 3] == [line.sequence for line in lines]


def test_a_commit_that_an_uncertain_clock_hides_is_looked_for_from_the_beginning() -> None:
    lines = list(following(asked(Diary(WHOLE)), after(1, since=300)))

    assert [2, 3] == [line.sequence for line in lines]


@pytest.mark.parametrize(
    ("lines", "start", "met", "said", "gone"),
    [
        (CUT, 3, [], "goes from commit 3 to 5", (0, 8)),
        ([*WHOLE, *CUT], 1, [2, 3], "goes from commit 3 to 5", (5, 8)),
        ([*WHOLE, (9, 1, 900)], 2, [3], "goes from commit 3 to 1", (5, 9)),
    ],
)
def test_a_missing_commit_ends_it(
    lines: list[tuple[int, int, int]], start: int, met: list[int], said: str, gone: tuple[int, int]
) -> None:
    seen = list[int]()
    with pytest.raises(Incomparable, match=said) as raised:
        seen.extend(line.sequence for line in following(asked(Diary(lines)), after(start)))

    assert met == seen
    assert gone == (raised.value.missing[0].start, raised.value.missing[0].end)


@pytest.mark.parametrize(
    ("low", "high", "gone"),
    [
        (0, 10, None),
        (3, 9, None),
        (5, 10, (3, 5)),
        (20, 30, (3, 9)),
        (0, 7, (7, 9)),
        (0, 1, (3, 9)),
    ],
)
def test_what_is_missing_is_named(low: int, high: int, gone: tuple[int, int] | None) -> None:
    stretch = Range(topic=METRICS.name, partition=0, start=3, end=9)
    found = None
    try:
        held(stretch, low, high)
    except Incomparable as error:
        (missing,) = error.missing
        found = (missing.start, missing.end)

    assert gone == found


@dataclass
class Copy:
    """A copy of the state that nothing is lacking for."""

    sequence: int
    at: int

    def position(self, *_: object) -> Position:
        return Position(sequence=self.sequence, epoch=1, ends={}, tail={}, watermark=None)


@pytest.mark.parametrize(
    ("at", "sequence", "expected"),
    [
        (25, 2, 25),  # the usual: made between two commits
        (20, 2, 21),  # in the same ms as its commit
        (20, 3, 31),  # while commits went on: a later one is in it
        (35, 3, 35),
    ],
)
def test_what_can_be_compared_begins_behind_a_copy(
    at: int, sequence: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    diary = Diary([(0, 1, 10), (2, 2, 20), (4, 3, 30), (6, 4, 40)])
    monkeypatch.setattr(beginning, "whole", lambda *_: iter_of(Copy(sequence, at)))

    found = earliest(asked(diary))

    assert expected == found
    later = [line.sequence for _, line in asked(diary).lines(found) if line.now >= found]
    assert later[0] > sequence


def iter_of(copy: Copy) -> Generator[Copy, None, None]:
    yield copy

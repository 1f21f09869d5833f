"""What a task of `merge` knows between two commits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from processors.merge.row import WindowRow, windows
from processors.merge.window import Window
from processors.summary.table import Summary
from schemas.topics import PARTIALS
from schemas.window import MINUTE

__all__ = [
    "ENTRY",
    "MARK",
    "MergeEntry",
    "MergeMark",
    "MergeState",
    "Source",
    "boundary",
    "fresh",
    "restore",
]

MARK = "mark"


@dataclass(frozen=True, slots=True)
class Source:
    """How far one source has come."""

    watermark: int | None = None  # ms
    idle: bool = False
    floor: int | None = None  # ms; it brings no event before it any more


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeMark:
    """How far the sources have come, and up to where rows have been put into windows."""

    sources: Mapping[int, Source] = field(default_factory=dict)
    expected: int = 0  # how many sources there are
    watermark: int | None = None  # ms; never goes back
    final: int | None = None  # ms; windows that end by then are gone, and nothing is for them
    taken: int = -1  # offset of the partial at which pending rows were last taken into windows


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeEntry:
    """A value of the changelog: the mark, or a row of a window."""

    mark: MergeMark | None = None
    row: WindowRow | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MergeState:
    """The mark, the windows that can still change, and the rows that wait.

    A row waits until its minute closes; a late one until the next minute does, or a source is idle.
    The waiting rows are a function of the partials from `tail` on.
    """

    mark: MergeMark = MergeMark()
    windows: Mapping[tuple[int, int], Window] = field(default_factory=dict)  # by (length, start)
    pending: tuple[Summary, ...] = ()
    firsts: Mapping[int, int] = field(default_factory=dict)  # minute, ms -> first partial with it

    def tail(self) -> dict[str, int]:
        """The first partial that `absorb` needs, by topic; empty when nothing waits."""
        return {PARTIALS.name: min(self.firsts.values())} if self.firsts else {}


ENTRY = MergeEntry


def boundary(watermark: int | None) -> int | None:
    """The end of the last closed minute."""
    return None if watermark is None else watermark // MINUTE * MINUTE


def fresh() -> MergeState:
    """The state of a task that has read nothing."""
    return MergeState()


def restore(entries: Mapping[str, MergeEntry]) -> MergeState:
    """The state that the changelog holds; the waiting rows are absorbed."""
    kept = [entry.row for entry in entries.values() if entry.row is not None]
    marks = [entry.mark for entry in entries.values() if entry.mark is not None]
    return MergeState(mark=marks[0] if marks else MergeMark(), windows=windows(kept))

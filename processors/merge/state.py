"""What a task of `merge` knows between two commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from processors.merge.row import WindowRow, declared, window, windows
from processors.merge.session import Extent, Row, Scope, Sessions
from processors.merge.window import Window
from processors.refused import Refused
from processors.summary.combine import combine
from processors.summary.singles import Rows
from schemas.span import Session, called
from schemas.topics import PARTIALS
from schemas.window import MINUTE

__all__ = [
    "ENTRY",
    "MARK",
    "Declared",
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
    declared: Mapping[str, int] = field(default_factory=dict)  # name -> first minute, ms
    noted: int | None = None  # offset from which on it is known which partials were refused


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeEntry:
    """A value of the changelog: the mark, a row of a window, or which partials were refused."""

    mark: MergeMark | None = None
    row: WindowRow | None = None
    refused: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Declared:
    """What is remembered of declared windows.

    Of hopping ones only those that have ended, for they are the sums of windows of fixed lengths;
    these stay as panes once nothing can change in them, while others are to be made of them.
    """

    panes: Mapping[tuple[int, int], Window] = field(default_factory=dict)  # by (length, start)
    hopping: Mapping[tuple[str, int], Window] = field(default_factory=dict)  # by (name, start)
    sessions: Mapping[str, Sessions] = field(default_factory=dict)  # by name


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MergeState:
    """The mark, the windows that can still change, the rows that wait, and what was refused.

    A row waits until its minute closes; a late one until the next minute does, or a source is idle.
    The waiting rows are a function of the partials from `tail` on.
    """

    mark: MergeMark = MergeMark()
    windows: Mapping[tuple[int, int], Window] = field(default_factory=dict)  # by (length, start)
    pending: tuple[Rows, ...] = ()
    firsts: Mapping[int, int] = field(default_factory=dict)  # minute, ms -> first partial with it
    declared: Declared = Declared()
    refused: Refused = field(default_factory=dict)

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
    marks = [entry.mark for entry in entries.values() if entry.mark is not None]
    mark = marks[0] if marks else MergeMark()
    kept: dict[str, list[WindowRow]] = {}
    for name, entry in entries.items():
        if entry.row is not None:
            kept.setdefault(declared(name), []).append(entry.row)
    found = windows(kept.pop("", ()))
    gone = {at: each for at, each in found.items() if mark.final and sum(at) <= mark.final}
    sessions = {name for name in kept if isinstance(called(name), Session)}
    return MergeState(
        mark=mark,
        windows={at: each for at, each in found.items() if at not in gone},
        declared=Declared(
            panes=gone,
            hopping={
                (name, start): window(rows)
                for name in sorted(kept.keys() - sessions)
                for start, rows in sorted(_by_start(kept[name]).items())
            },
            sessions={name: _sessions(kept[name]) for name in sorted(sessions)},
        ),
        refused={name: each.refused for name, each in entries.items() if each.refused is not None},
    )


def _by_start(rows: Iterable[WindowRow]) -> dict[int, list[WindowRow]]:
    found: dict[int, list[WindowRow]] = {}
    for row in rows:
        found.setdefault(row.start, []).append(row)
    return found


def _sessions(kept: list[WindowRow]) -> Sessions:
    wholes = {start: window(rows) for start, rows in _by_start(kept).items()}
    revisions: dict[Row, int] = {
        (start, key): revision
        for start, whole in wholes.items()
        for key, revision in whole.revisions.items()
    }
    lasts: dict[Scope, dict[int, int]] = {}
    for row in kept:
        known = lasts.setdefault(row.key[:2], {})
        last = row.start + row.length - MINUTE
        known[row.start] = max(last, known.get(row.start, last))
    extents: dict[Scope, tuple[Extent, ...]] = {
        scope: tuple(sorted(known.items())) for scope, known in lasts.items()
    }
    return Sessions(combine([each.summary for each in wholes.values()], 1), revisions, extents)

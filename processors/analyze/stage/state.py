"""What the analysis remembers of a scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Said(NamedTuple):
    """The last that was said of something (stored without names)."""

    revision: int
    holds: bool
    place: int  # ms: of what lies at a time
    direction: str
    value: float
    wide: float  # the width of its range
    cause: str  # id of the likeliest


class Happened(NamedTuple):
    """A step of a rollout that changed who serves whom."""

    id: str  # of the rollout
    sequence: int
    at: int  # ms, event time
    phase: str
    what: str  # for people


class Kept(NamedTuple):
    """A version of a baseline of one metric."""

    kind: str  # of processors.analyze.baseline.Kind
    metric: str
    version: int
    taken_at: int  # ms
    start: int  # ms, of its first window
    step: int  # ms, from one to the next
    values: bytes  # see `history.packed`
    subject: str = ""  # of a snapshot, the rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The last windows of one length, and what was said of them."""

    columns: tuple[str, ...]  # metrics, in the order of a row
    newest: int = -1  # ms, start of the newest
    values: bytes = b""  # see `history`
    said: Mapping[str, Said] = field(default_factory=dict)  # by "kind|metric|which of them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a scope's past is held against."""

    events: tuple[Happened, ...] = ()  # the newest last
    baselines: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeEntry:
    """A value of the changelog: one resolution of a scope, or what it is held against."""

    past: Past | None = None
    ground: Ground | None = None


@dataclass(frozen=True, slots=True)
class AnalyzeState:
    """All scopes of a partition, by "scope|window", or "scope|ground"."""

    entries: Mapping[str, AnalyzeEntry] = field(default_factory=dict)


ENTRY = AnalyzeEntry


def fresh() -> AnalyzeState:
    """Nothing seen yet."""
    return AnalyzeState()


def restore(entries: Mapping[str, AnalyzeEntry]) -> AnalyzeState:
    """The state that wrote these changelog entries."""
    return AnalyzeState(dict(entries))

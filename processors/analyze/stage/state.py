"""What the analysis remembers of a scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from processors.predict.history import Memory

Prices = tuple[float, float, float | None]  # USD per million tokens: input, output, cached


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


class Part(NamedTuple):
    """A key row of an hour: one model, version and cohort."""

    provider: str
    model: str
    version: str
    cohort: str
    requests: int
    errors: int
    p95: float  # ms
    tail: float  # the 99th percentile less the 90th, ms
    cost: float | None  # USD a request
    uneven: float  # deviation of a request's tokens, by their mean
    scores: int
    quality: float
    spread: float  # deviation of the scores
    tokens: tuple[float, ...]  # of a request: input, output, cached
    price: Prices | None


class Served(NamedTuple):
    """What a model did in a scope in an hour."""

    provider: str
    model: str
    at: int  # ms, start of the hour
    requests: int
    levels: tuple[tuple[str, float, float], ...]  # metric, value, standard error
    tokens: tuple[float, ...]  # as of a part
    price: Prices | None


class Offer(NamedTuple):
    """A model that some scope of the partition has used."""

    provider: str
    model: str
    at: int  # ms, lately
    price: Prices | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The models of a scope: the hour that is read, the newest of each, and what was said."""

    hour: int = -1  # ms, start of the hour of the parts; rows of hours before it are late
    parts: tuple[Part, ...] = ()
    served: tuple[Served, ...] = ()  # the newest first
    learnt: Mapping[str, int] = field(default_factory=dict)  # change -> ms, when it was an outcome
    said: Mapping[str, Said] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeEntry:
    """A value of the changelog; one of these is there."""

    past: Past | None = None
    ground: Ground | None = None
    models: Models | None = None
    offers: Mapping[str, Offer] | None = None  # of the whole partition, by "provider/model"
    memory: Memory | None = None  # of the whole partition


@dataclass(frozen=True, slots=True)
class AnalyzeState:
    """All scopes of a partition, by "scope|window", "scope|ground" and "scope|models".

    What all of them share is in "*|offers" and "*|memory".
    """

    entries: Mapping[str, AnalyzeEntry] = field(default_factory=dict)


ENTRY = AnalyzeEntry


def fresh() -> AnalyzeState:
    """Nothing seen yet."""
    return AnalyzeState()


def restore(entries: Mapping[str, AnalyzeEntry]) -> AnalyzeState:
    """The state that wrote these changelog entries."""
    return AnalyzeState(dict(entries))

"""What the detector remembers of a scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from processors.detect.layout import LAYOUT
from processors.detect.suppress import Span
from schemas.anomaly import Cause, Severity


class Before(NamedTuple):
    """What a series was like before a window, in entries of before `packed`."""

    median: float
    spread: float
    weight: float
    samples: int


class Judged(NamedTuple):
    """A judgement of a window, in entries of before `packed`."""

    start: int  # ms, of the window
    past: Before
    severity: Severity | None  # as published; None when nothing was


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One metric in entries of before `packed`: read, never written."""

    values: tuple[float, ...] = ()  # on the metric's scale, newest last
    weights: tuple[int, ...] = ()
    judged: tuple[Judged, ...] = ()
    spoken_at: int | None = None  # start of the last window that was published as an anomaly
    spoken: Severity | None = None  # and how severe it was


class Key(NamedTuple):
    """What one key of the scope has done lately, by metric."""

    labels: tuple[str, ...]  # values of processors.detect.keys.DIMENSIONS
    start: int  # ms, of the window that `now` is of; −1 when it is of none
    past: bytes  # float32 [metrics, 2]: totals and sizes, fading
    now: bytes  # the same of one window


class Told(NamedTuple):
    """What was published of a window, beside the judgement itself."""

    start: int  # ms, of the window
    metric: str
    incident: int  # ms, start of its first anomaly
    causes: tuple[Cause, ...]
    reason: str  # why it is held back; "" when it is not


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """All series of a scope; the value of the changelog.

    `packed` has a row of `layout.SERIES` for each of `metrics`: below 1.7 KB a series.
    """

    scope: str
    newest: int = -1  # ms, start of the newest window that was judged
    series: Mapping[str, Series] = field(default_factory=dict)  # by metric, of older entries
    layout: int = LAYOUT
    metrics: tuple[str, ...] = ()
    packed: bytes = b""
    limits: tuple[float, ...] = ()  # by metric: what was expected last, in its own unit
    keys: tuple[Key, ...] = ()
    told: tuple[Told, ...] = ()  # of windows that may still be revised
    moves: tuple[Span, ...] = ()  # times in which a rollout explains what is unusual
    incident: int = -1  # ms, start of the last one
    incident_end: int = -1  # ms, end of its last anomaly


@dataclass(frozen=True, slots=True)
class DetectState:
    """All scopes of a partition."""

    scopes: Mapping[str, Detector] = field(default_factory=dict)


ENTRY = Detector


def fresh() -> DetectState:
    """Nothing seen yet."""
    return DetectState()


def restore(entries: Mapping[str, Detector]) -> DetectState:
    """The state that wrote these changelog entries."""
    return DetectState(dict(entries))

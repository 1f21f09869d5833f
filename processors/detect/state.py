"""What the detector remembers of a scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from processors.detect.past import Past
from schemas.anomaly import Severity


class Judged(NamedTuple):
    """A judgement that a revision of its window may still change (stored without names)."""

    start: int  # ms, of the window
    past: Past
    severity: Severity | None  # as published; None when nothing was


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One metric: its past, newest last, and when it was last spoken of.

    At most `history` values (9 bytes) with their weights (3 bytes) and the judgements of
    `memory_ms`: below 2 KiB as stored.
    """

    values: tuple[float, ...] = ()  # on the metric's scale, see processors.detect.past.scaled
    weights: tuple[int, ...] = ()
    judged: tuple[Judged, ...] = ()
    spoken_at: int | None = None  # start of the last window that was published as an anomaly
    spoken: Severity | None = None  # and how severe it was


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """All series of a scope; the value of the changelog."""

    scope: str
    newest: int = -1  # ms, start of the newest window that was judged
    series: Mapping[str, Series] = field(default_factory=dict)  # by metric


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

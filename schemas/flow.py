"""What passes between a pure step and the engine that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Input:
    """One decoded record; a batch is sorted by (topic, offset)."""

    topic: str
    offset: int
    value: Any  # a dataclass of schemas/; None for a tombstone
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """All that a step may know besides its policy, state and inputs; journalled."""

    now: int  # ms since the epoch, the worker's clock
    seed: int
    epoch: int  # fencing number of the partition's owner
    partition: int
    partitions: int


class Emit(NamedTuple):
    """A record to write: `topic` is a name of schemas.topics, `value` None a tombstone."""

    topic: str
    key: str | bytes | None  # bytes go out as they came
    value: Any
    partition: int | None = None  # None: the partition of the key
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome(Generic[S]):
    """What a step leaves: the next state, records, changelog entries (None deletes) and counts."""

    state: S
    emits: tuple[Emit, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    watermark: int | None = None
    tail: Mapping[str, int] | None = None  # topic -> first offset that a restart must read again

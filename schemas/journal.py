"""What one commit read, when, and the checksum of what it wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Offsets [start, end) of one topic partition."""

    topic: str
    partition: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRecord:
    """One commit of one partition of one stage."""

    stage: str
    partition: int
    sequence: int  # of this partition's commits, from 1
    epoch: int
    now: int  # ms since the epoch, the worker's clock
    seed: int
    ranges: tuple[Range, ...]
    catalog: int  # offset of the catalog that was in force, exclusive
    policy: str  # checksum of the stage's policy
    watermark: int | None
    counts: Mapping[str, int] = field(default_factory=dict)
    outputs: int = 0  # records written
    checksum: int = 0  # CRC-32 over `digests`
    digests: bytes = b""  # CRC-32 of each output and change, little-endian u32, in order


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangelogEntry:
    """One entry of a stage's state, or its position (kind `position`)."""

    kind: str  # the name of the state's type
    version: int  # of its layout
    payload: bytes  # MessagePack


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a partition of a stage stands; written with every commit."""

    sequence: int
    epoch: int
    ends: Mapping[str, int]  # topic -> next offset to read
    tail: Mapping[str, int]  # topic -> first offset that a restart must read again
    watermark: int | None
    begins: int = 0  # offset of the changelog from which on all of it must be there

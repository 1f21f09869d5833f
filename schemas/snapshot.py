"""A copy of what a partition of a stage knew after one commit, so that a replay can start there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotEntry:
    """An entry of the changelog, as it is there."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One piece of a copy; all `pieces` of one sequence and time are the whole of it."""

    stage: str
    partition: int
    sequence: int  # of the last commit that is in it
    at: int  # ms since the epoch, the copier's clock
    piece: int  # from 0
    pieces: int
    entries: tuple[SnapshotEntry, ...]  # the position is the first of piece 0

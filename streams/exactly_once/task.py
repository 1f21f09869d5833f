"""A task: one partition of a stage, its state and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.flow import Outcome
from schemas.journal import Position


@dataclass(slots=True)
class Task:
    """What a worker holds of a partition between two commits. Replaced only by a commit."""

    partition: int
    state: Any
    ends: dict[str, int]  # topic -> next offset to read
    sequence: int = 0
    epoch: int = 1
    written: int = 0  # the epoch of its last commit
    tail: Mapping[str, int] = field(default_factory=dict)
    watermark: int | None = None
    begins: int = 0  # as in its position
    ticked_at: float = 0.0  # monotonic seconds

    def position(self, outcome: Outcome[Any], ends: Mapping[str, int]) -> Position:
        """Where the task will stand once *outcome* of the input up to *ends* is committed."""
        return Position(
            sequence=self.sequence + 1,
            epoch=self.epoch,
            ends=dict(sorted(ends.items())),
            tail=dict(sorted((outcome.tail if outcome.tail is not None else self.tail).items())),
            watermark=outcome.watermark if outcome.watermark is not None else self.watermark,
            begins=self.begins,
        )

    def advance(self, state: Any, position: Position) -> None:
        """The commit is done: take over what it wrote."""
        self.state = state
        self.ends = dict(position.ends)
        self.sequence = position.sequence
        self.written = position.epoch
        self.tail = position.tail
        self.watermark = position.watermark

"""What a task of `collect` knows between two commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from processors.collect.deduplicate import Seen, deduplicate
from processors.collect.policy import CollectPolicy
from processors.collect.reading import Read
from schemas.flow import Input, Moment

__all__ = ["ENTRY", "MARK", "CollectMark", "CollectState", "absorb", "fresh", "restore"]

MARK = "mark"


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectMark:
    """The part of the state that the tail of the log does not hold; times in ms."""

    newest: Mapping[str, int] = field(default_factory=dict)  # topic -> latest event time
    watermark: int | None = None  # as last told
    idle: bool = False  # as last told
    told: int = 0  # when
    active: int = 0  # when there was an event to sum, or the task was taken over
    epoch: int | None = None  # of the owner that told
    floor: int | None = None  # the time before which nothing is summed any more, as told


@dataclass(frozen=True, slots=True, eq=False)
class CollectState:
    """The mark, and per topic the identities seen."""

    mark: CollectMark = CollectMark()
    seen: Mapping[str, Seen] = field(default_factory=dict)

    def tail(self, policy: CollectPolicy) -> dict[str, int]:
        """Topic → the first offset that `absorb` needs."""
        return {topic: seen.tail(policy.horizon) for topic, seen in sorted(self.seen.items())}


ENTRY = CollectMark


def fresh() -> CollectState:
    """The state of a task that has read nothing."""
    return CollectState()


def restore(entries: Mapping[str, CollectMark]) -> CollectState:
    """The state that the changelog holds; the rest is absorbed."""
    return CollectState(entries.get(MARK, CollectMark()))


def absorb(
    policy: CollectPolicy, state: CollectState, batch: Sequence[Read | Input], moment: Moment
) -> CollectState:
    """Read messages again that were committed before, from the tail on: only remember them."""
    del moment
    seen = dict(state.seen)
    for read in batch:
        if isinstance(read, Input):
            continue  # the mark knows the floor
        seen[read.topic], _ = deduplicate(
            seen.get(read.topic, Seen()), policy.horizon, read.offsets, read.decoded.events
        )
    return CollectState(state.mark, seen)

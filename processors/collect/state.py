"""What a task of `collect` knows between two commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from processors.collect.deduplicate import Seen, deduplicate
from processors.collect.policy import CollectPolicy
from processors.collect.reading import Read
from processors.refused import Refused, among
from schemas.flow import Input, Moment

__all__ = [
    "ENTRY",
    "MARK",
    "CollectEntry",
    "CollectMark",
    "CollectState",
    "absorb",
    "fresh",
    "restore",
]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectEntry:
    """A value of the changelog: the mark, or which messages of a block were dead letters."""

    mark: CollectMark | None = None
    refused: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CollectState:
    """The mark, per topic the identities seen, and which messages of the tail were refused."""

    mark: CollectMark = CollectMark()
    seen: Mapping[str, Seen] = field(default_factory=dict)
    refused: Refused = field(default_factory=dict)

    def tail(self, policy: CollectPolicy) -> dict[str, int]:
        """Topic → the first offset that `absorb` needs."""
        return {topic: seen.tail(policy.horizon) for topic, seen in sorted(self.seen.items())}


ENTRY = CollectEntry


def fresh() -> CollectState:
    """The state of a task that has read nothing."""
    return CollectState()


def restore(entries: Mapping[str, CollectEntry]) -> CollectState:
    """The state that the changelog holds; the rest is absorbed."""
    return CollectState(
        entries.get(MARK, CollectEntry()).mark or CollectMark(),
        refused={name: each.refused for name, each in entries.items() if each.refused is not None},
    )


def absorb(
    policy: CollectPolicy, state: CollectState, batch: Sequence[Read | Input], moment: Moment
) -> CollectState:
    """Read messages again that were committed before, from the tail on: only remember them.

    Those that were refused then are not remembered, even if they could be used now.
    """
    del moment
    seen = dict(state.seen)
    for read in (each for each in batch if isinstance(each, Read)):  # the mark knows the floor
        events = read.decoded.events
        refused = among(state.refused, read.topic, read.offsets)
        if refused.any():
            nobody = np.where(refused[events.message], np.uint64(0), events.identity)
            events = replace(events, identity=nobody)
        seen[read.topic], _ = deduplicate(
            seen.get(read.topic, Seen()), policy.horizon, read.offsets, events
        )
    return replace(state, seen=seen)

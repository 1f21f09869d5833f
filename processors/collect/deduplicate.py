"""Find repeated events, as a function of the log alone.

Offsets are cut into generations of equal length. An event repeats when its identity came before
in the same generation or the one before it, so what must be remembered is rebuilt by reading the
log again from the start of the previous generation.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from processors.summary.counted import merged
from processors.summary.table import Ints
from schemas.columns import EventColumns

__all__ = ["Seen", "deduplicate"]

Ids = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]


def _none() -> Ids:
    return np.zeros(0, dtype=np.uint64)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The identities of two generations of one topic partition, ascending, each once."""

    generation: int = -1
    current: Ids = field(default_factory=_none)
    previous: Ids = field(default_factory=_none)

    def tail(self, horizon: int) -> int:
        """The offset from which the log must be read again to know the same."""
        return max(0, (self.generation - 1) * horizon)

    def turn(self, generation: int) -> Seen:
        """What is still known when *generation* begins."""
        if generation == self.generation:
            return self
        kept = self.current if generation == self.generation + 1 else _none()
        return Seen(generation, previous=kept)


def deduplicate(
    seen: Seen, horizon: int, offsets: Ints, events: EventColumns
) -> tuple[Seen, Bools]:
    """Say which events of the next messages are repetitions.

    Args:
        seen: What is known of the messages before.
        horizon: Offsets in a generation.
        offsets: Of the messages [m], ascending.
        events: What was in them; identity 0 is never a repetition, nor are events of one message
            of each other.

    Returns:
        What is known now, and for each event whether it is a repetition.
    """
    repeated = np.zeros(len(events), dtype=np.bool_)
    generation = offsets // horizon
    for each in np.unique(generation).tolist():
        messages = np.searchsorted(generation, [each, each + 1])
        here = slice(*np.searchsorted(events.message, messages).tolist())
        seen, repeated[here] = _remember(
            seen.turn(each), events.message[here], events.identity[here]
        )
    return seen, repeated


def _remember(seen: Seen, message: Ints, identity: Ids) -> tuple[Seen, Bools]:
    repeated = np.zeros(len(identity), dtype=np.bool_)
    named = np.flatnonzero(identity)
    if len(named) == 0:
        return seen, repeated
    message, identity = message[named], identity[named]
    begins = np.ones(len(named), dtype=np.bool_)  # the first of a run from one message
    begins[1:] = (identity[1:] != identity[:-1]) | (message[1:] != message[:-1])
    ordered = np.sort(identity)  # np.unique would hash, which is ten times slower here
    distinct = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    current = _among(distinct, seen.current)
    known = current | _among(distinct, seen.previous)
    if known.any() or len(distinct) < begins.sum():
        _, first, at = np.unique(identity, return_index=True, return_inverse=True)
        repeated[named] = known[at] | (message != message[first][at])
    return Seen(
        seen.generation,
        current=merged(seen.current, distinct[~current]),
        previous=seen.previous,
    ), repeated


def _among(ids: Ids, known: Ids) -> Bools:
    """Which of the ascending *ids* are among the ascending *known* ones."""
    if len(known) == 0:
        return np.zeros(len(ids), dtype=np.bool_)
    at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    found: Bools = known[at] == ids
    return found

"""What one batch of one topic brings: a summary, and what could not be summed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from processors.collect.deduplicate import Seen, deduplicate
from processors.collect.letters import dead, late
from processors.collect.policy import CollectPolicy
from processors.collect.reading import Read
from processors.summary.singles import Rows, singles
from processors.summary.summarize import summarize
from processors.summary.table import Ints
from schemas.columns import EventColumns
from schemas.flow import Emit, Moment

__all__ = ["OVERFLOW", "Taken", "take"]

Bools = npt.NDArray[np.bool_]
OVERFLOW = "__overflow__"  # the service that stands for all keys beyond the limit


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """A batch, taken in; every event of it is in `counts` once besides `read`."""

    seen: Seen
    newest: int | None  # ms, the latest event time of the topic so far
    rows: Rows
    letters: list[Emit]
    counts: Counter[str]


def take(
    policy: CollectPolicy,
    seen: Seen,
    newest: int | None,
    floor: int | None,
    read: Read,
    moment: Moment,
) -> Taken:
    """Sort the events of *read* into new, repeated and late, and sum the new ones up.

    An event is late when it is more than the grace behind the latest event up to itself, in the
    order of the log, no matter where batches begin; or when it is before the *floor*, that is, of a
    window which `merge` lets go. Where a sum would be hardly more than an event, there are none.
    """
    events, rejected = read.decoded.events, read.decoded.rejected
    seen, repeated = deduplicate(seen, policy.horizon, read.offsets, events)
    behind, newest = _behind(events.timestamp, ~repeated, newest, policy.grace_ms)
    if floor is not None:
        behind |= ~repeated & (events.timestamp < floor)
    fit = ~(repeated | behind)
    events, overflowed = _bounded(events, fit, policy.max_keys, moment.partition)
    counts = Counter(
        {
            "read": len(events) + len(rejected),
            "aggregated": int(fit.sum()),
            "late": int(behind.sum()),
            "duplicates": int(repeated.sum()),
            "dead_lettered": len(rejected),
            "overflowed": overflowed,
            "messages": len(read.offsets),
        }
    )
    counts.update([f"dead_lettered.{each.reason}" for each in rejected])
    letters = dead(read, moment) + (late(read, behind, floor, moment) if behind.any() else [])
    return Taken(seen, newest, _rows(policy, events, fit), letters, counts)


def _rows(policy: CollectPolicy, events: EventColumns, fit: Bools) -> Rows:
    """The fit events as sums, or as they are where there is hardly more than one of a key."""
    n = int(fit.sum())
    if policy.singles_from <= n < policy.singles_below * len(events.keys):
        used = np.count_nonzero(np.bincount(events.key[fit], minlength=len(events.keys)))
        if n < policy.singles_below * used:
            return singles(events, np.flatnonzero(fit))
    return summarize(events, None if n == len(events) else fit)


def _behind(
    timestamp: Ints, fresh: Bools, newest: int | None, grace: int
) -> tuple[Bools, int | None]:
    """Which fresh events are late, and the latest event time after them."""
    if not fresh.any():
        return np.zeros(len(timestamp), dtype=np.bool_), newest
    floor = np.iinfo(np.int64).min + grace if newest is None else newest
    latest = np.maximum.accumulate(np.maximum(np.where(fresh, timestamp, floor), floor))
    behind: Bools = fresh & (timestamp < latest - grace)
    return behind, int(latest[-1])


def _bounded(
    events: EventColumns, fit: Bools, most: int, partition: int
) -> tuple[EventColumns, int]:
    """The events with at most *most* keys, the first ones; the rest share one, and are counted."""
    if len(events.keys) <= most:
        return events, 0
    at = np.flatnonzero(fit)
    used, first = np.unique(events.key[at], return_index=True)
    if len(used) <= most:
        return events, 0
    names = np.full(len(events.keys), len(events.keys), dtype=np.int64)
    kept = used[np.argsort(first)[:most]]
    names[kept] = kept
    key = names[events.key]
    spilt = (OVERFLOW, f"partition-{partition}", "", "", "", "")
    over = int((key[at] == len(events.keys)).sum())
    return replace(events, key=key, keys=(*events.keys, spilt)), over

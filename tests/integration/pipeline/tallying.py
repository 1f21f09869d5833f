"""Minutes counted in columns: what `processors.merge.recompute` counts event by event."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from processors.merge.recompute import COST, TOKENS, Tally
from processors.sketch import buckets
from processors.summary.table import CELL, NEVER, M
from schemas.columns import ABSENT, NO_UNIT, EventColumns
from schemas.partial import Key
from schemas.window import MINUTE

LOW = 20  # bits of the lower part of a value that is squared
Minutes = dict[tuple[int, Key], Tally]
Ints = npt.NDArray[np.int64]


def tally(parts: Iterable[EventColumns]) -> Minutes:
    """What each key has in each minute, over all *parts*."""
    minutes: Minutes = {}
    for part in parts:
        for at, found in _tallied(part).items():
            minutes.setdefault(at, Tally()).add(found)
    return minutes


def _tallied(events: EventColumns) -> Minutes:
    if not len(events):
        return {}
    width = len(events.keys)
    codes, group = np.unique(events.timestamp // MINUTE * width + events.key, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(codes)))

    def added(columns: Ints) -> list[list[int]]:
        found: list[list[int]] = np.add.reduceat(columns[order], starts, axis=0).tolist()
        return found

    values, request = events.values, events.request
    there = values != ABSENT
    plain = np.where(there, values, 0)
    high, low = plain >> LOW, plain & ((1 << LOW) - 1)
    squares = [added(each) for each in (high * high, high * low, low * low)]
    bare = request & ~there[:, COST]
    counters = added(
        np.stack(
            [
                *(request, request & ~events.failed, request & events.timeout),
                *(events.retries, bare, *(np.where(bare, plain[:, m], 0) for m in TOKENS)),
            ],
            axis=1,
        ).astype(np.int64)
    )
    counts, sums = added(there.astype(np.int64)), added(plain)
    least = np.minimum.reduceat(np.where(there, values, NEVER)[order], starts, axis=0).tolist()
    most = np.maximum.reduceat(values[order], starts, axis=0).tolist()
    found = [
        Tally(
            counters=counters[i],
            squares=[
                (a << 2 * LOW) + (b << LOW + 1) + c
                for a, b, c in zip(*(square[i] for square in squares), strict=True)
            ],
            sums=sums[i],
            counts=counts[i],
            low=least[i],
            high=most[i],
        )
        for i in range(len(codes))
    ]
    size = M * CELL
    bucket = buckets(np.maximum(values, 0)) + 1 + CELL * np.arange(M)
    for i, cell, n in _counted(group, bucket, there, size):
        found[i].cells[cell] = n
    kinds = max(1, len(events.error_types))
    for i, kind, n in _counted(group, events.error_type, events.error_type != ABSENT, kinds):
        found[i].failures[events.error_types[kind]] = n
    marked = events.failed & (events.unit != NO_UNIT)
    for i, unit, _ in _counted(group, events.unit, marked, NO_UNIT):
        found[i].units.add(unit)
    return {
        (int(code) // width * MINUTE, events.keys[int(code) % width]): each
        for code, each in zip(codes, found, strict=True)
    }


def _counted(
    group: Ints, what: Ints, which: npt.NDArray[np.bool_], size: int
) -> Iterable[tuple[int, int, int]]:
    """For each group how often it has each number below *size*, where *which* says so."""
    wide = np.broadcast_to(group if what.ndim == 1 else group[:, None], what.shape)
    code, times = np.unique((wide * size + what)[which], return_counts=True)
    return zip((code // size).tolist(), (code % size).tolist(), times.tolist(), strict=True)

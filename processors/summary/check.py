"""Whether a partial can be added up: it may have been written by anybody."""

from __future__ import annotations

from functools import cache
from functools import partial as partial_of

import numpy as np

from processors.sketch import ESTIMATES
from processors.summary.known import Known, looked_up
from processors.summary.pack import WIDTHS, figures, unpack
from processors.summary.table import (
    CELL,
    COUNT,
    HIGH,
    LIMB,
    LOW,
    ROW,
    SUM,
    Column,
    Ints,
    M,
    Summary,
)
from schemas.columns import NO_UNIT
from schemas.errors import Reason, Undecodable
from schemas.events import MOST as BOUNDS
from schemas.partial import COUNTERS, FAILED, LIMIT, REQUEST, TIMEOUT, Key, Partial
from schemas.scope import BUCKETS, partition_of, reserved, scope_of
from schemas.window import MINUTE

__all__ = ["AHEAD", "SOURCES", "check"]

AHEAD = 3_600_000  # ms that event time may be ahead of when a partial was written
RETRIES = BOUNDS["retry_count"]  # of one event
MOST = 1 << 56  # of what is counted, so that a hundred of them still fit 64 bits
SOURCES = 100_000  # partitions of one topic, more than a cluster has
LONGEST = 256  # characters of a name
ITEM = {"key": 4, "widths": 1, "figures": 1, "flags": 1}  # bytes of a value, where it is not 8
WIDEST = max(WIDTHS)  # bytes of an integer; only such can be too large for a value
NARROW = {0, *WIDTHS}


def check(
    partial: Partial, partition: int, partitions: int, written: int, sources: int = SOURCES
) -> None:
    """Check all that adding up takes for granted.

    Args:
        partial: As it was read.
        partition: Where it was.
        partitions: How many there are, for each scope has one of them.
        written: When, ms since the epoch. Time that is far ahead of it would close every window.
        sources: How many sources there are at most; one that does not exist would hold every
            window open, for nothing is ever heard of it.

    Raises:
        Undecodable: with the reason, and a sentence that names the column.
    """
    _source(partial, written + AHEAD, sources)
    homes = looked_up(_homes(partitions), partial.keys)
    if (homes != partition).any():
        at = int(np.flatnonzero(homes != partition)[0])
        scope = scope_of(*partial.keys[at][:2])
        raise Undecodable(Reason.MISROUTED, f"{scope} belongs to partition {homes[at]}")
    for kind in partial.error_types:
        _name("error_types", kind)
    _lengths(partial)
    last = (written + AHEAD) // MINUTE
    if not _all(np.frombuffer(partial.minute, "<i8"), 0, last + 1):
        raise Undecodable(Reason.OUT_OF_RANGE, f"minute is negative, or after {last}")
    if partial.widths:
        _singles(partial)
        return
    rows = unpack(partial)
    _table(rows)
    _codes(rows, partial)


def _source(partial: Partial, latest: int, most: int) -> None:
    if partial.sources > most:
        said = f"{partial.sources} sources are told, but there are {most}"
        raise Undecodable(Reason.OUT_OF_RANGE, said)
    if partial.sources < 1 or not 0 <= partial.source < partial.sources:
        said = f"source {partial.source} of {partial.sources} is none"
        raise Undecodable(Reason.OUT_OF_RANGE, said)
    for name, told in (("watermark", partial.watermark), ("floor", partial.floor)):
        if told is not None and told > latest:
            raise Undecodable(Reason.IN_THE_FUTURE, f"{name} is {told}, after {latest}")


@cache
def _homes(partitions: int) -> Known:
    return Known(partial_of(_home, partitions=partitions))


def _home(key: Key, partitions: int) -> int:
    """The partition that *key* belongs to.

    Raises:
        Undecodable: it can be no key.
    """
    service, endpoint = key[:2]
    _name("service", service)
    _name("endpoint", endpoint)
    if max(map(len, key)) > LONGEST:
        raise Undecodable(Reason.TOO_LONG, f"a name of more than {LONGEST} characters")
    if (why := reserved(*key)) is not None:
        raise Undecodable(Reason.RESERVED_NAME, why)
    return partition_of(scope_of(service, endpoint), partitions)


def _name(what: str, name: str) -> None:
    if not name:
        raise Undecodable(Reason.EMPTY_NAME, f"{what} is empty")
    if len(name) > LONGEST:
        raise Undecodable(Reason.TOO_LONG, f"{what} has {len(name)} characters")


def _lengths(partial: Partial) -> None:
    """Each column has as many values as its rows, or its codes, need."""
    n = len(partial.key) // 4
    if partial.cell_bytes not in {4, 8} or partial.count_bytes not in WIDTHS:
        said = f"cells of {partial.cell_bytes} bytes with counts of {partial.count_bytes}"
        raise Undecodable(Reason.OUT_OF_RANGE, f"there are no {said}")
    if not NARROW.issuperset(partial.widths):
        raise Undecodable(
            Reason.OUT_OF_RANGE, f"there are no figures of {max(partial.widths)} bytes"
        )
    items = {**ITEM, "cells": partial.cell_bytes, "cell_counts": partial.count_bytes}
    one = bool(partial.widths)  # event a row, of which there are no sums
    sums, events = (0, n) if one else (n, 0)
    cells = 0 if one else len(partial.cells) // partial.cell_bytes
    failures = len(partial.failures) // 8
    wanted = {
        "key": n,
        "minute": n,
        "counters": sums * len(COUNTERS),
        "moments": sums * M * 4,
        "extremes": sums * M * 2,
        "cell_counts": cells,
        "cells": cells,
        "failure_counts": 0 if one else failures,
        "failures": failures,
        "units": len(partial.units) // 8,
        "widths": M + 1 if one else 0,
        "figures": events * sum(partial.widths),
        "flags": events,
    }
    for name, values in wanted.items():
        found = len(getattr(partial, name))
        if found != values * items.get(name, 8):
            raise Undecodable(
                Reason.INCONSISTENT, f"{name} has {found} bytes, not {values} values of its kind"
            )


def _table(rows: Summary) -> None:
    """The columns of the rows themselves."""
    _within("key", rows.key, len(rows.keys))
    if rows.counters.min(initial=0) < 0 or rows.moments.min(initial=0) < 0:
        raise Undecodable(Reason.NEGATIVE, "a counter or a moment is below zero")
    requests = rows.counters[:, :1]
    parts = rows.counters[:, [COUNTERS.index(n) for n in ("success", "timeouts")]]
    unpriced = rows.counters[:, [COUNTERS.index("unpriced_requests")]]
    if (parts > requests).any() or (unpriced > requests).any():
        raise Undecodable(Reason.INCONSISTENT, "there are more of a kind of requests than requests")
    count, total = rows.moments[..., COUNT], rows.moments[..., SUM]
    least, most = rows.extremes[..., 0], rows.extremes[..., 1]
    if max(rows.counters.max(initial=0), count.max(initial=0)) >= MOST:
        raise Undecodable(Reason.OUT_OF_RANGE, "a count is above what can be added up")
    if (rows.moments[..., LOW] >= 1 << LIMB).any() or (rows.moments[..., HIGH] >= MOST).any():
        raise Undecodable(Reason.OUT_OF_RANGE, "a sum of squares is above what can be added up")
    some = count > 0
    if rows.moments[~some].any():
        raise Undecodable(Reason.INCONSISTENT, "there are moments of no values")
    if ((least < 0) | (least > most) | (most >= LIMIT))[some].any():
        raise Undecodable(Reason.OUT_OF_RANGE, "the least or the greatest value is none")
    # As floats, for products leave int64; what is consistent is so by a margin, or exactly.
    low, high = least.astype(float) * count, most.astype(float) * count
    if ((total < low * (1 - 1e-9)) | (total > high * (1 + 1e-9)))[some].any():
        raise Undecodable(Reason.INCONSISTENT, "a sum is not between its extremes")


def _codes(rows: Summary, partial: Partial) -> None:
    """The sparse columns, and that the cells hold just the values that the moments count."""
    n = len(rows)
    _sparse("cells", rows.cells, n * ROW, len(ESTIMATES))
    _marks(partial, n)
    for name, counts in (("cell", rows.cell_counts), ("failure", rows.failure_counts)):
        if not _all(counts, 1, MOST):
            raise Undecodable(Reason.OUT_OF_RANGE, f"a {name} count is not above zero, or too high")
    held = np.zeros(n * M, dtype=np.int64)
    np.add.at(held, rows.cells // CELL, rows.cell_counts)
    if (held != rows.moments[..., COUNT].reshape(n * M)).any():
        raise Undecodable(Reason.INCONSISTENT, "the cells hold other values than are counted")


def _marks(partial: Partial, n: int) -> tuple[Ints, Ints]:
    """The failures and the units of *n* rows, as they travel."""
    failures, units = (np.frombuffer(each, "<i8") for each in (partial.failures, partial.units))
    _sparse("failures", failures, n * CELL, len(partial.error_types))
    _sparse("units", units, n * CELL, min(BUCKETS, NO_UNIT))
    return failures, units


def _sparse(name: str, codes: Ints, size: int, most: int) -> None:
    if (codes[1:] <= codes[:-1]).any():
        raise Undecodable(Reason.INCONSISTENT, f"{name} does not ascend")
    _within(name, codes, size)
    _within(name, codes % CELL, most)


def _singles(partial: Partial) -> None:
    """Events that nobody has added up: there is little that they could contradict."""
    n = len(partial.key) // 4
    _within("key", np.frombuffer(partial.key, "<i4"), len(partial.keys))
    _within("flags", np.frombuffer(partial.flags, np.uint8), (REQUEST | FAILED | TIMEOUT) + 1)
    *metrics, retries = figures(partial)
    for column in metrics:
        if column.itemsize == WIDEST:
            _within("figures", column, LIMIT + 1)
    _within("figures", retries, RETRIES + 1)
    for name, codes in zip(("failures", "units"), _marks(partial, n), strict=True):
        rows = codes // CELL
        if (rows[1:] == rows[:-1]).any():
            raise Undecodable(Reason.INCONSISTENT, f"an event has more than one of its {name}")


def _within(name: str, values: Column, size: int) -> None:
    if not _all(values, 0, size):
        raise Undecodable(Reason.OUT_OF_RANGE, f"{name} has an index outside 0 to {size - 1}")


def _all(values: Column, low: int, end: int) -> bool:
    """Whether all are in [low, end)."""
    return not len(values) or bool(low <= values.min() and values.max() < end)

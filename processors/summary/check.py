"""Whether a partial can be added up: it may have been written by anybody."""

from __future__ import annotations

from functools import cache
from functools import partial as partial_of

import numpy as np

from processors.sketch import ESTIMATES
from processors.summary.known import Known
from processors.summary.pack import WIDTHS, unpack
from processors.summary.table import CELL, COUNT, HIGH, LIMB, LOW, ROW, SUM, Ints, M, Summary
from schemas.columns import NO_UNIT
from schemas.errors import Reason, Undecodable
from schemas.partial import COUNTERS, LIMIT, Key, Partial
from schemas.scope import BUCKETS, partition_of, reserved, scope_of
from schemas.window import MINUTE

__all__ = ["AHEAD", "SOURCES", "check"]

AHEAD = 3_600_000  # ms that event time may be ahead of when a partial was written
MOST = 1 << 56  # of what is counted, so that a hundred of them still fit 64 bits
SOURCES = 100_000  # partitions of one topic, more than a cluster has
LONGEST = 256  # characters of a name
ITEM = {"key": 4}  # bytes of a value, where it is not 8


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
    homes = _homes(partitions)
    if any(map(partition.__ne__, map(homes.__getitem__, partial.keys))):
        key = next(key for key in partial.keys if homes[key] != partition)
        scope = scope_of(*key[:2])
        raise Undecodable(Reason.MISROUTED, f"{scope} belongs to partition {homes[key]}")
    for kind in partial.error_types:
        _name("error_types", kind)
    _lengths(partial)
    last = (written + AHEAD) // MINUTE
    if not _all(np.frombuffer(partial.minute, "<i8"), 0, last + 1):
        raise Undecodable(Reason.OUT_OF_RANGE, f"minute is negative, or after {last}")
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
    items = {**ITEM, "cells": partial.cell_bytes, "cell_counts": partial.count_bytes}
    cells = len(partial.cells) // partial.cell_bytes
    wanted = {
        "key": n,
        "minute": n,
        "counters": n * len(COUNTERS),
        "moments": n * M * 4,
        "extremes": n * M * 2,
        "cell_counts": cells,
        "cells": cells,
        "failure_counts": len(partial.failures) // 8,
        "failures": len(partial.failures) // 8,
        "units": len(partial.units) // 8,
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
    n, failures = len(rows), np.frombuffer(partial.failures, "<i8")
    columns = (
        ("cells", rows.cells, n * ROW, rows.cells % CELL, len(ESTIMATES)),
        ("failures", failures, n * CELL, failures % CELL, len(partial.error_types)),
        ("units", rows.units, n * CELL, rows.units % CELL, min(BUCKETS, NO_UNIT)),
    )
    for name, codes, size, inner, most in columns:
        if (np.diff(codes) <= 0).any():
            raise Undecodable(Reason.INCONSISTENT, f"{name} does not ascend")
        _within(name, codes, size)
        _within(name, inner, most)
    for name, counts in (("cell", rows.cell_counts), ("failure", rows.failure_counts)):
        if not _all(counts, 1, MOST):
            raise Undecodable(Reason.OUT_OF_RANGE, f"a {name} count is not above zero, or too high")
    held = np.zeros(n * M, dtype=np.int64)
    np.add.at(held, rows.cells // CELL, rows.cell_counts)
    if (held != rows.moments[..., COUNT].reshape(n * M)).any():
        raise Undecodable(Reason.INCONSISTENT, "the cells hold other values than are counted")


def _within(name: str, values: Ints, size: int) -> None:
    if not _all(values, 0, size):
        raise Undecodable(Reason.OUT_OF_RANGE, f"{name} has an index outside 0 to {size - 1}")


def _all(values: Ints, low: int, end: int) -> bool:
    """Whether all are in [low, end)."""
    return not len(values) or bool(low <= values.min() and values.max() < end)

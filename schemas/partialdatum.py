"""Partials from their Avro data, quicker than any datum: their keys come again and again."""

from __future__ import annotations

from itertools import repeat

from schemas import avrobytes
from schemas.avrobytes import UnusualError, long, optional, piece, strings
from schemas.partial import Partial

__all__ = ["quick"]

COLUMNS = 10  # of bytes


def quick(data: bytes, start: int) -> Partial | None:
    """The partial whose datum, in the contract's own schema, is all of `data[start:]`.

    Returns:
        None: the datum is broken, or written in a way that nothing of ours writes.
    """
    try:
        return _partial(data, start)
    except (IndexError, UnicodeDecodeError, UnusualError):
        return None


def _partial(data: bytes, at: int) -> Partial:
    source, at = long(data, at)
    sources, at = long(data, at)
    watermark, at = optional(data, at)
    idle = data[at]
    floor, at = optional(data, at + 1)
    keys, at = avrobytes.keys(data, at)
    error_types, at = strings(data, at)
    columns = []
    for _ in repeat(None, COLUMNS):
        column, at = piece(data, at)
        columns.append(column)
    cell_bytes, at = long(data, at)
    count_bytes, at = long(data, at)
    if idle > 1 or at != len(data):
        raise UnusualError
    key, minute, counters, moments, extremes, cells, counts, failures, failed, units = columns
    return Partial(
        source=source,
        sources=sources,
        watermark=watermark,
        idle=idle == 1,
        floor=floor,
        keys=keys,
        error_types=error_types,
        key=key,
        minute=minute,
        counters=counters,
        moments=moments,
        extremes=extremes,
        cells=cells,
        cell_counts=counts,
        failures=failures,
        failure_counts=failed,
        units=units,
        cell_bytes=cell_bytes,
        count_bytes=count_bytes,
    )

"""Partials from their Avro data, quicker than any datum: their keys come again and again."""

from __future__ import annotations

from itertools import repeat

from schemas import avrobytes
from schemas.avrobytes import UnusualError, long, optional, piece, strings
from schemas.partial import Partial

__all__ = ["quick"]

COLUMNS = 10  # of bytes
MORE = 3  # of them, of single events


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
    columns, at = _columns(data, at, COLUMNS)
    cell_bytes, at = long(data, at)
    count_bytes, at = long(data, at)
    (widths, figures, flags), at = _columns(data, at, MORE)
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
        widths=widths,
        figures=figures,
        flags=flags,
    )


def _columns(data: bytes, at: int, many: int) -> tuple[list[bytes], int]:
    """So many pieces, and where they end."""
    found = []
    for _ in repeat(None, many):
        column, at = piece(data, at)
        found.append(column)
    return found, at

"""Summaries on their way between tasks: by partition, in pieces, as bytes."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from processors.summary.combine import combine
from processors.summary.known import Known, looked_up
from processors.summary.singles import Rows, Singles, picked, summed
from processors.summary.table import CELL, COUNT, NEVER, ROW, TYPES, Column, Ints, Summary, spans
from schemas.partial import COUNTERS, METRICS, Partial
from schemas.scope import partition_of, scope_of
from schemas.window import MINUTE

__all__ = [
    "PIECE",
    "WIDTHS",
    "figures",
    "narrow",
    "pack",
    "route",
    "unpack",
    "unpacked",
    "wide",
]

PIECE = 450_000  # bytes; with the largest row that there can be, a piece stays below 900 kB
WIDTHS = {1: "<u1", 2: "<u2", 4: "<u4", 8: "<i8"}  # bytes of an integer -> its kind
M, C = len(METRICS), len(COUNTERS)
FIXED = 4 + 8 + 8 * (C + 4 * M + 2 * M)  # bytes of a row without its cells, failures and units
SINGLE = 4 + 8 + 8 * (M + 1) + 1  # bytes of a single event without its failure and unit, at most


def route(rows: Rows, partitions: int, limit: int = PIECE) -> list[tuple[int, Rows]]:
    """The rows of each partition that has some, by the scope of their keys, ascending.

    They are in their order, in as few runs as keep each below *limit* bytes and one row. A run of
    PIECE bytes has fewer than half of the error types that a partial has room for.
    """
    text, homes = np.divmod(looked_up(_places(partitions), rows.keys), partitions)
    home, size = homes[rows.key], _sizes(rows) + text[rows.key]
    found = []
    for partition in np.flatnonzero(np.bincount(home)).tolist():
        at = np.flatnonzero(home == partition)
        run = np.cumsum(size[at]) // limit
        runs = np.unique(run).tolist() if run[-1] else [0]
        found += [(partition, picked(rows, at[run == each] if run[-1] else at)) for each in runs]
    return found


def _sizes(rows: Rows) -> Ints:
    """How many bytes each row takes at most, without its key."""
    n = len(rows)
    names = np.array([len(kind) for kind in rows.error_types], dtype=np.int64)
    failures = names[rows.failures % TYPES] + 16
    if isinstance(rows, Singles):
        size: Ints = np.full(n, SINGLE)
        size[rows.failures // TYPES] += failures
        size[rows.units // CELL] += 8
        return size
    ends = np.concatenate([[0], np.cumsum(failures)])
    size = FIXED + 16 * np.diff(spans(rows.cells, ROW, n))
    size += np.diff(ends[spans(rows.failures, TYPES, n)])
    size += 8 * np.diff(spans(rows.units, CELL, n))
    return size


def pack(
    rows: Rows,
    *,
    source: int,
    sources: int,
    watermark: int | None,
    idle: bool = False,
    floor: int | None = None,
) -> Partial:
    """The rows of minutes as they travel, from one of *sources* tasks of `collect`.

    Raises:
        ValueError: they have more error types than 65,536: let `route` divide them.
    """
    if len(rows.error_types) > CELL:
        raise ValueError(f"{len(rows.error_types)} error types do not fit into a partial")
    failed, kinds = np.divmod(rows.failures, TYPES)
    columns = _singles(rows) if isinstance(rows, Singles) else _sums(rows)
    return Partial(
        source=source,
        sources=sources,
        watermark=watermark,
        idle=idle,
        floor=floor,
        keys=rows.keys,
        error_types=rows.error_types,
        key=rows.key.astype("<i4").tobytes(),
        minute=_bytes(rows.start // MINUTE),
        failures=_bytes(failed * CELL + kinds),
        units=_bytes(rows.units),
        **columns,
    )


def unpack(partial: Partial) -> Summary:
    """The summary that a partial carries, of single events as well.

    Raises:
        ValueError: the lengths of its columns disagree.
    """
    rows = unpacked(partial)
    return combine(summed([rows])) if isinstance(rows, Singles) else rows


def unpacked(partial: Partial) -> Rows:
    """The rows that a partial carries, as they are.

    Raises:
        ValueError: the lengths of its columns disagree.
    """
    failed, kinds = np.divmod(_ints(partial.failures), CELL)
    key = np.frombuffer(partial.key, "<i4")
    if partial.widths:
        return Singles(
            keys=partial.keys,
            error_types=partial.error_types,
            key=key,
            start=_ints(partial.minute) * MINUTE,
            figures=figures(partial),
            flags=np.frombuffer(partial.flags, np.uint8),
            failures=failed * TYPES + kinds,
            units=_ints(partial.units),
        )
    key = key.astype(np.int64)
    moments = _ints(partial.moments).reshape(len(key), M, 4)
    extremes = _ints(partial.extremes).reshape(len(key), M, 2)
    none = moments[..., COUNT, None] == 0
    return Summary(
        keys=partial.keys,
        error_types=partial.error_types,
        key=key,
        start=_ints(partial.minute) * MINUTE,
        counters=_ints(partial.counters).reshape(len(key), C),
        moments=moments,
        extremes=np.where(none, np.array([NEVER, -1]), extremes),
        cells=wide(partial.cells, partial.cell_bytes),
        cell_counts=wide(partial.cell_counts, partial.count_bytes),
        failures=failed * TYPES + kinds,
        failure_counts=_ints(partial.failure_counts),
        units=_ints(partial.units),
    )


def figures(partial: Partial) -> tuple[Column, ...]:
    """The figures of single events, each column as wide as it came.

    Raises:
        ValueError: their length is not the one that the widths say.
    """
    n, at, found = len(partial.key) // 4, 0, []
    for width in partial.widths:
        kind = WIDTHS[width] if width else "<u1"
        column = np.frombuffer(partial.figures, kind, n if width else 0, at)
        found.append(column if width else np.zeros(n, np.uint8))
        at += n * width
    return tuple(found)


def _sums(summary: Summary) -> dict[str, Any]:
    """The columns of sums."""
    cells, cell_bytes = narrow(summary.cells, least=4)
    cell_counts, count_bytes = narrow(summary.cell_counts)
    return {
        "counters": _bytes(summary.counters),
        "moments": _bytes(summary.moments),
        "extremes": _bytes(summary.extremes),
        "cells": cells,
        "cell_counts": cell_counts,
        "failure_counts": _bytes(summary.failure_counts),
        "cell_bytes": cell_bytes,
        "count_bytes": count_bytes,
    }


def _singles(events: Singles) -> dict[str, Any]:
    """The columns of single events."""
    found = [narrow(column) if column.any() else (b"", 0) for column in events.figures]
    none = ("counters", "moments", "extremes", "cells", "cell_counts", "failure_counts")
    return {
        **dict.fromkeys(none, b""),
        "widths": bytes(width for _, width in found),
        "figures": b"".join(column for column, _ in found),
        "flags": events.flags.astype(np.uint8).tobytes(),
    }


def narrow(column: Column, least: int = 1) -> tuple[bytes, int]:
    """A column without negatives, in integers as small as the largest allows; their bytes."""
    top = int(column.max(initial=0))
    size = next(
        each for each in (1, 2, 4, 8) if each >= least and top < 1 << 8 * each - (each == 8)
    )
    return column.astype(WIDTHS[size]).tobytes(), size


def wide(column: bytes, size: int) -> Ints:
    """What `narrow` has made narrow."""
    return np.frombuffer(column, WIDTHS[size]).astype(np.int64)


def _bytes(column: Ints) -> bytes:
    return column.astype("<i8", copy=False).tobytes()


def _ints(column: bytes) -> Ints:
    return np.frombuffer(column, "<i8").astype(np.int64, copy=False)


@cache
def _places(partitions: int) -> Known:
    """The partition of each key, by its scope, and how many characters it has: many times over."""
    return Known(
        lambda key: sum(map(len, key)) * partitions + partition_of(scope_of(*key[:2]), partitions)
    )

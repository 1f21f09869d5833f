"""Summaries on their way between tasks: by partition, in pieces, as bytes."""

from __future__ import annotations

from functools import cache

import numpy as np

from processors.summary.known import Known
from processors.summary.table import CELL, COUNT, NEVER, ROW, TYPES, Ints, Summary, select, spans
from schemas.partial import COUNTERS, METRICS, Partial
from schemas.scope import partition_of, scope_of
from schemas.window import MINUTE

__all__ = ["PIECE", "WIDTHS", "narrow", "pack", "pieces", "route", "unpack", "wide"]

PIECE = 450_000  # bytes; with the largest row that there can be, a piece stays below 900 kB
WIDTHS = {1: "<u1", 2: "<u2", 4: "<u4", 8: "<i8"}  # bytes of an integer -> its kind
M, C = len(METRICS), len(COUNTERS)
FIXED = 4 + 8 + 8 * (C + 4 * M + 2 * M)  # bytes of a row without its cells, failures and units


def route(summary: Summary, partitions: int) -> list[tuple[int, Summary]]:
    """The rows of each partition that has some, by the scope of their keys, ascending."""
    homes = np.array(list(map(_homes(partitions).__getitem__, summary.keys)), dtype=np.int64)
    home = homes[summary.key]
    return [(p, select(summary, np.flatnonzero(home == p))) for p in np.unique(home).tolist()]


def pieces(summary: Summary, limit: int = PIECE) -> list[Summary]:
    """The rows in their order, in as few runs as keep each below *limit* bytes and one row.

    A piece of PIECE bytes has fewer than half of the error types that a partial has room for.
    """
    rows = len(summary)
    text = np.array(list(map(LENGTHS.__getitem__, summary.keys)), dtype=np.int64)
    size = FIXED + text[summary.key] + 16 * np.diff(spans(summary.cells, ROW, rows))
    names = np.array([len(kind) for kind in summary.error_types], dtype=np.int64)
    failures = np.concatenate([[0], np.cumsum(names[summary.failures % TYPES] + 16)])
    size += np.diff(failures[spans(summary.failures, TYPES, rows)])
    size += 8 * np.diff(spans(summary.units, CELL, rows))
    run = np.cumsum(size) // limit
    if rows == 0 or run[-1] == 0:
        return [summary]
    return [select(summary, np.flatnonzero(run == each)) for each in np.unique(run).tolist()]


def pack(
    summary: Summary,
    *,
    source: int,
    sources: int,
    watermark: int | None,
    idle: bool = False,
    floor: int | None = None,
) -> Partial:
    """The summary of minutes as it travels, from one of *sources* tasks of `collect`.

    Raises:
        ValueError: it has more error types than 65,536: take it in `pieces`.
    """
    if len(summary.error_types) > CELL:
        raise ValueError(f"{len(summary.error_types)} error types do not fit into a partial")
    failed, kinds = np.divmod(summary.failures, TYPES)
    cells, cell_bytes = narrow(summary.cells, least=4)
    cell_counts, count_bytes = narrow(summary.cell_counts)
    return Partial(
        source=source,
        sources=sources,
        watermark=watermark,
        idle=idle,
        floor=floor,
        keys=summary.keys,
        error_types=summary.error_types,
        key=summary.key.astype("<i4").tobytes(),
        minute=_bytes(summary.start // MINUTE),
        counters=_bytes(summary.counters),
        moments=_bytes(summary.moments),
        extremes=_bytes(summary.extremes),
        cells=cells,
        cell_counts=cell_counts,
        failures=_bytes(failed * CELL + kinds),
        failure_counts=_bytes(summary.failure_counts),
        units=_bytes(summary.units),
        cell_bytes=cell_bytes,
        count_bytes=count_bytes,
    )


def unpack(partial: Partial) -> Summary:
    """The summary that a partial carries.

    Raises:
        ValueError: the lengths of its columns disagree.
    """
    key = np.frombuffer(partial.key, "<i4").astype(np.int64)
    moments = _ints(partial.moments).reshape(len(key), M, 4)
    extremes = _ints(partial.extremes).reshape(len(key), M, 2)
    none = moments[..., COUNT, None] == 0
    failed, kinds = np.divmod(_ints(partial.failures), CELL)
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


def narrow(column: Ints, least: int = 1) -> tuple[bytes, int]:
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


LENGTHS = Known(lambda key: sum(map(len, key)))  # characters


@cache
def _homes(partitions: int) -> Known:
    """The partition of each key, by its scope."""
    return Known(lambda key: partition_of(scope_of(key[0], key[1]), partitions))

"""Summaries on their way between tasks: by partition, in pieces, as bytes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from processors.summary.table import CELL, COUNT, NEVER, ROW, Ints, Summary, select, spans
from schemas.partial import COUNTERS, METRICS, Partial
from schemas.scope import partition_of, scope_of
from schemas.window import MINUTE

__all__ = ["PIECE", "pack", "pieces", "route", "unpack"]

PIECE = 450_000  # bytes; with the largest row that there can be, a piece stays below 900 kB
M, C = len(METRICS), len(COUNTERS)
FIXED = 4 + 8 + 8 * (C + 4 * M + 2 * M)  # bytes of a row without its cells, failures and units


def route(summary: Summary, partitions: int) -> list[tuple[int, Summary]]:
    """The rows of each partition that has some, by the scope of their keys, ascending."""
    homes = np.array([_home(key[0], key[1], partitions) for key in summary.keys], dtype=np.int64)
    home = homes[summary.key]
    return [(p, select(summary, np.flatnonzero(home == p))) for p in np.unique(home).tolist()]


def pieces(summary: Summary, limit: int = PIECE) -> list[Summary]:
    """The rows in their order, in as few runs as keep each below *limit* bytes and one row."""
    rows = len(summary)
    text = np.array([sum(map(len, key)) for key in summary.keys], dtype=np.int64)
    size = FIXED + text[summary.key] + 16 * np.diff(spans(summary.cells, ROW, rows))
    names = np.array([len(kind) for kind in summary.error_types], dtype=np.int64)
    failures = np.concatenate([[0], np.cumsum(names[summary.failures % CELL] + 16)])
    size += np.diff(failures[spans(summary.failures, CELL, rows)])
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
    """The summary of minutes as it travels, from one of *sources* tasks of `collect`."""
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
        cells=_bytes(summary.cells),
        cell_counts=_bytes(summary.cell_counts),
        failures=_bytes(summary.failures),
        failure_counts=_bytes(summary.failure_counts),
        units=_bytes(summary.units),
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
    return Summary(
        keys=tuple((a, b, c, d, e, f) for a, b, c, d, e, f in partial.keys),
        error_types=tuple(partial.error_types),
        key=key,
        start=_ints(partial.minute) * MINUTE,
        counters=_ints(partial.counters).reshape(len(key), C),
        moments=moments,
        extremes=np.where(none, np.array([NEVER, -1]), extremes),
        cells=_ints(partial.cells),
        cell_counts=_ints(partial.cell_counts),
        failures=_ints(partial.failures),
        failure_counts=_ints(partial.failure_counts),
        units=_ints(partial.units),
    )


def _bytes(column: Ints) -> bytes:
    return column.astype("<i8", copy=False).tobytes()


def _ints(column: bytes) -> Ints:
    return np.frombuffer(column, "<i8").astype(np.int64, copy=False)


@lru_cache(maxsize=1 << 17)
def _home(service: str, endpoint: str, partitions: int) -> int:
    return partition_of(scope_of(service, endpoint), partitions)

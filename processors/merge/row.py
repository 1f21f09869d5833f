"""A window's row as the changelog keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from processors.merge.window import Window, pooled_key
from processors.summary.pack import WIDTHS, wide
from processors.summary.table import CELL, ROW, TYPES, C, Ints, M, Summary, select, spans
from schemas.partial import Key

__all__ = ["WindowRow", "declared", "name", "rows", "window", "windows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRow:
    """One key of one window, packed little-endian; codes are those of row 0 of a Summary."""

    length: int  # ms; of declared windows only sessions have one, up to their last active minute
    start: int  # ms
    key: Key
    revision: int
    pooled: int  # the revision of the scope's pooled row when this was written
    counters: bytes  # i64[C]
    moments: bytes  # i64[M, 4]
    extremes: bytes  # i64[M, 2]
    cells: bytes  # i32[h]
    cell_counts: bytes  # [h] unsigned, of as many bytes each as the largest takes: 1, 2, 4 or 8
    error_types: tuple[str, ...]
    failure_counts: bytes  # i64, one per error type
    units: bytes  # u16


def name(window: int | str, start: int, key: Key) -> str:
    """What the changelog calls a row of a window, known by its length or as it is declared."""
    return f"{window}|{start}|{key!r}"


def declared(name: str) -> str:
    """What the windows of a row are declared as; "" for those of fixed lengths."""
    window = name.partition("|")[0]
    return "" if window.isdigit() else window


def rows(length: int, start: int, window: Window, keys: Iterable[Key]) -> Iterator[WindowRow]:
    """The rows of *keys*, each of which is in the window."""
    summary, chosen = window.summary, sorted(keys)
    if len(chosen) < len(summary):
        place = {key: i for i, key in enumerate(summary.keys)}
        summary = select(summary, np.array([place[key] for key in chosen], dtype=np.int64))
    n = len(summary)
    cells, failures, units = (
        spans(codes, size, n)
        for codes, size in ((summary.cells, ROW), (summary.failures, TYPES), (summary.units, CELL))
    )
    every = np.arange(n + 1)
    kinds = [summary.error_types[kind] for kind in (summary.failures % TYPES).tolist()]
    columns = zip(
        chosen,
        _slices(summary.counters, every * C),
        _slices(summary.moments, every * (M * 4)),
        _slices(summary.extremes, every * (M * 2)),
        _slices(summary.cells % ROW, cells, "<i4"),
        _narrowed(summary.cell_counts, cells),
        [tuple(kinds[a:b]) for a, b in pairwise(failures.tolist())],
        _slices(summary.failure_counts, failures),
        _slices(summary.units % CELL, units, "<u2"),
        strict=True,
    )
    for key, counters, moments, extremes, codes, counts, types, failed, marks in columns:
        yield WindowRow(
            length=length,
            start=start,
            key=key,
            revision=window.revisions[key],
            pooled=window.revisions[pooled_key(key)],
            counters=counters,
            moments=moments,
            extremes=extremes,
            cells=codes,
            cell_counts=counts,
            error_types=types,
            failure_counts=failed,
            units=marks,
        )


def windows(kept: Iterable[WindowRow]) -> dict[tuple[int, int], Window]:
    """The windows that rows were of, by (length, start)."""
    found: dict[tuple[int, int], list[WindowRow]] = {}
    for row in kept:
        found.setdefault((row.length, row.start), []).append(row)
    return {at: window(found[at]) for at in sorted(found)}


def window(found: list[WindowRow]) -> Window:
    """The one window that rows were of."""
    found.sort(key=lambda row: row.key)
    n = len(found)
    types = sorted({kind for row in found for kind in row.error_types})
    index = {kind: i for i, kind in enumerate(types)}
    kinds = np.array([index[kind] for row in found for kind in row.error_types], dtype=np.int64)
    revisions = {row.key: row.revision for row in found}
    for row in found:
        pooled = pooled_key(row.key)
        revisions[pooled] = max(revisions.get(pooled, 0), row.pooled)
    cells = np.array([len(row.cells) // 4 for row in found], dtype=np.int64)
    failures = np.array([len(row.error_types) for row in found], dtype=np.int64)
    units = np.array([len(row.units) // 2 for row in found], dtype=np.int64)
    summary = Summary(
        keys=tuple(row.key for row in found),
        error_types=tuple(types),
        key=np.arange(n),
        start=np.array([row.start for row in found], dtype=np.int64),
        counters=_ints([row.counters for row in found]).reshape(n, C),
        moments=_ints([row.moments for row in found]).reshape(n, M, 4),
        extremes=_ints([row.extremes for row in found]).reshape(n, M, 2),
        cells=_codes(_ints([row.cells for row in found], "<i4"), cells, ROW),
        cell_counts=_wide([row.cell_counts for row in found], cells),
        failures=_codes(kinds, failures, TYPES),
        failure_counts=_ints([row.failure_counts for row in found]),
        units=_codes(_ints([row.units for row in found], "<u2"), units, CELL),
    )
    return Window(summary, revisions)


def _codes(codes: Ints, lengths: Ints, size: int) -> Ints:
    """Codes of row 0, so many of each row, moved to the row that each is of."""
    return codes + np.repeat(np.arange(len(lengths)) * size, lengths)


def _wide(columns: Sequence[bytes], lengths: Ints) -> Ints:
    """Columns of so many values each, which are as wide as each needs, one after another."""
    sizes = np.array([len(column) for column in columns], dtype=np.int64)
    widths = sizes // np.maximum(lengths, 1)
    of_each = np.repeat(widths, lengths)
    found = np.empty(len(of_each), dtype=np.int64)
    for width in np.unique(of_each).tolist():
        same = b"".join([columns[i] for i in np.flatnonzero(widths == width).tolist()])
        found[of_each == width] = wide(same, width)
    return found


def _slices(column: Ints, ends: Ints, kind: str = "<i8") -> list[bytes]:
    """A column in pieces of as many values each as lie between two of its *ends*."""
    data = column.astype(kind, copy=False).tobytes()
    return [data[a:b] for a, b in pairwise((ends * np.dtype(kind).itemsize).tolist())]


def _narrowed(column: Ints, ends: Ints) -> list[bytes]:
    """The same of values above zero, each piece in integers as small as its largest allows."""
    some = np.diff(ends) > 0
    top = np.zeros(len(some), dtype=np.int64)
    if some.any():
        top[some] = np.maximum.reduceat(column, ends[:-1][some])
    found = [b""] * len(some)
    least = 0
    for size, kind in WIDTHS.items():
        most = (1 << 8 * size - (size == 8)) - 1
        fits = np.flatnonzero((top > least) & (top <= most))
        if len(fits):
            data = column.astype(kind).tobytes()
            bounds = (ends * size).tolist()
            for i in fits.tolist():
                found[i] = data[bounds[i] : bounds[i + 1]]
        least = most
    return found


def _ints(columns: Sequence[bytes], kind: str = "<i8") -> Ints:
    return np.frombuffer(b"".join(columns), kind).astype(np.int64)

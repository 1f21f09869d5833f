"""A window's row as the changelog keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from processors.merge.window import Window, pooled_key
from processors.summary.pack import narrow, wide
from processors.summary.table import CELL, ROW, TYPES, C, Ints, M, Summary, spans
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
    summary = window.summary
    n = len(summary)
    cells = spans(summary.cells, ROW, n).tolist()
    failures = spans(summary.failures, TYPES, n).tolist()
    units = spans(summary.units, CELL, n).tolist()
    place = {key: i for i, key in enumerate(summary.keys)}
    for key in sorted(keys):
        i = place[key]
        cell, failure = slice(*cells[i : i + 2]), slice(*failures[i : i + 2])
        yield WindowRow(
            length=length,
            start=start,
            key=key,
            revision=window.revisions[key],
            pooled=window.revisions[pooled_key(key)],
            counters=_bytes(summary.counters[i]),
            moments=_bytes(summary.moments[i]),
            extremes=_bytes(summary.extremes[i]),
            cells=(summary.cells[cell] - i * ROW).astype("<i4").tobytes(),
            cell_counts=narrow(summary.cell_counts[cell])[0],
            error_types=tuple(
                summary.error_types[kind] for kind in (summary.failures[failure] % TYPES).tolist()
            ),
            failure_counts=_bytes(summary.failure_counts[failure]),
            units=(summary.units[slice(*units[i : i + 2])] % CELL).astype("<u2").tobytes(),
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
    kinds = [np.array([index[each] for each in row.error_types], dtype=np.int64) for row in found]
    revisions = {row.key: row.revision for row in found}
    for row in found:
        pooled = pooled_key(row.key)
        revisions[pooled] = max(revisions.get(pooled, 0), row.pooled)
    summary = Summary(
        keys=tuple(row.key for row in found),
        error_types=tuple(types),
        key=np.arange(n),
        start=np.array([row.start for row in found], dtype=np.int64),
        counters=_ints([row.counters for row in found]).reshape(n, C),
        moments=_ints([row.moments for row in found]).reshape(n, M, 4),
        extremes=_ints([row.extremes for row in found]).reshape(n, M, 2),
        cells=_codes([np.frombuffer(row.cells, "<i4") for row in found], ROW),
        cell_counts=np.concatenate(
            [wide(row.cell_counts, _size(row.cell_counts, len(row.cells) // 4)) for row in found]
        ),
        failures=_codes(kinds, TYPES),
        failure_counts=_ints([row.failure_counts for row in found]),
        units=_codes([np.frombuffer(row.units, "<u2") for row in found], CELL),
    )
    return Window(summary, revisions)


def _codes(each: Sequence[np.ndarray], size: int) -> Ints:
    """Codes of row 0, moved to the row that each is of."""
    return np.concatenate([codes.astype(np.int64) + i * size for i, codes in enumerate(each)])


def _bytes(column: Ints) -> bytes:
    return column.astype("<i8", copy=False).tobytes()


def _size(column: bytes, n: int) -> int:
    """Bytes of each of the n values of a column."""
    return len(column) // max(n, 1) or 1


def _ints(columns: Sequence[bytes]) -> Ints:
    return np.frombuffer(b"".join(columns), "<i8").astype(np.int64)

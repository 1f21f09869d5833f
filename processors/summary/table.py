"""A summary of some events as a table: one row per key and window, all of it integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.partial import COUNTERS, METRICS, Key

__all__ = [
    "CELL",
    "COUNT",
    "HIGH",
    "KINDS",
    "LIMB",
    "LOW",
    "NEVER",
    "ROW",
    "SUM",
    "TYPES",
    "WIDTH",
    "Column",
    "Ints",
    "Summary",
    "by_start",
    "empty",
    "present",
    "rows_of",
    "select",
    "spans",
]

Ints = npt.NDArray[np.int64]
Column = npt.NDArray[np.integer[Any]]  # of any width

M, C = len(METRICS), len(COUNTERS)
COUNT, SUM, HIGH, LOW = range(4)  # the moments of a metric
LIMB = 36  # bits of the low limb of a sum of squares
WIDTH = 16  # bits of a bucket, of a unit, of an error type's index where it travels
CELL = 1 << WIDTH
ROW = M << WIDTH  # cells of one row
TYPES = 1 << 32  # error types that a summary has room for
KINDS = 4_096  # error types that one row tells apart
NEVER = (1 << 63) - 1  # the minimum of no values; their maximum is -1


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """n rows in the layout of schemas.partial.Partial, as arrays; `start` is in ms.

    But for `failures`, which are row · TYPES + index here. What `combine` returns is canonical:
    rows ascend by (start, key), `keys` and `error_types` ascend. Always, each key and error type is
    used, and where a metric has no values its extremes are (NEVER, −1). Two canonical summaries of
    the same events are the same bits.
    """

    keys: tuple[Key, ...]
    error_types: tuple[str, ...]
    key: Ints  # [n] index into `keys`
    start: Ints  # [n]
    counters: Ints  # [n, C]
    moments: Ints  # [n, M, 4]
    extremes: Ints  # [n, M, 2]
    cells: Ints  # [h] ascending, each once
    cell_counts: Ints
    failures: Ints  # [e] ascending, each once
    failure_counts: Ints
    units: Ints  # [u] ascending, each once

    def __len__(self) -> int:
        """How many rows."""
        return len(self.key)

    def rekey(self, name: Callable[[Key], Key]) -> Summary:
        """The same rows under other keys; rows that now share one stay apart until combined."""
        return replace(self, keys=tuple(map(name, self.keys)))


def empty() -> Summary:
    """The summary of no events."""
    none = np.zeros(0, dtype=np.int64)
    return Summary(
        keys=(),
        error_types=(),
        key=none,
        start=none,
        counters=none.reshape(0, C),
        moments=none.reshape(0, M, 4),
        extremes=none.reshape(0, M, 2),
        cells=none,
        cell_counts=none,
        failures=none,
        failure_counts=none,
        units=none,
    )


def present(indices: Column, size: int) -> tuple[Ints, Ints]:
    """Which of 0 to *size* are among *indices*, ascending, and of each index the place there."""
    there = np.zeros(size, dtype=np.bool_)
    there[indices] = True
    places = np.cumsum(there) - 1
    return np.flatnonzero(there), places[indices]


def spans(codes: Ints, row: int, rows: int) -> Ints:
    """Where each row's codes begin: [rows + 1] bounds into ascending *codes* of *row* a row."""
    return np.searchsorted(codes, np.arange(rows + 1) * row)


def rows_of(codes: Ints, row: int, chosen: Ints, rows: int) -> tuple[Ints, Ints]:
    """The codes of the *chosen* rows, renumbered in their order, and where they were."""
    bounds = spans(codes, row, rows)
    sizes = np.diff(bounds)[chosen]
    ends = np.cumsum(sizes)
    at = np.repeat(bounds[chosen] - ends + sizes, sizes) + np.arange(sizes.sum())
    return codes[at] + np.repeat((np.arange(len(chosen)) - chosen) * row, sizes), at


def select(summary: Summary, chosen: Ints) -> Summary:
    """Some rows, in the order of their indices in *chosen*, with the names that they use."""
    rows = len(summary)
    used, key = present(summary.key[chosen], len(summary.keys))
    cells, cells_at = rows_of(summary.cells, ROW, chosen, rows)
    failures, failures_at = rows_of(summary.failures, TYPES, chosen, rows)
    types, kind = present(failures & TYPES - 1, len(summary.error_types))
    units, _ = rows_of(summary.units, CELL, chosen, rows)
    return Summary(
        keys=tuple(map(summary.keys.__getitem__, used.tolist())),
        error_types=tuple(map(summary.error_types.__getitem__, types.tolist())),
        key=key,
        start=summary.start[chosen],
        counters=summary.counters[chosen],
        moments=summary.moments[chosen],
        extremes=summary.extremes[chosen],
        cells=cells,
        cell_counts=summary.cell_counts[cells_at],
        failures=failures - (failures & TYPES - 1) + kind,
        failure_counts=summary.failure_counts[failures_at],
        units=units,
    )


def by_start(summary: Summary) -> dict[int, Summary]:
    """The rows of each window by its start, ascending."""
    return {
        start: select(summary, np.flatnonzero(summary.start == start))
        for start in np.unique(summary.start).tolist()
    }

"""The last windows of a scope as bytes: a row for each, a number for each metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from processors.analyze.stage.policy import AnalyzePolicy, Measure
from processors.reading import observations, read
from schemas.window import EnrichedWindow

Floats = npt.NDArray[np.float64]

CELL = np.dtype("<f4")
LARGEST = 1e30  # of which squares and sums of squares are still numbers


class Filled(NamedTuple):
    """One metric, without gaps."""

    first: int  # the row of its first value
    values: Floats  # [k], one a window; what is missing lies between its neighbours
    known: int  # values that there were


def readings(policy: AnalyzePolicy, row: EnrichedWindow) -> tuple[float, ...]:
    """What a window says of each measure; NaN where it says nothing, or too few say it."""
    return tuple(_reading(each, row) for each in policy.measures)


def _reading(measure: Measure, row: EnrichedWindow) -> float:
    value = read(row, measure.metric)
    if (
        value is None
        or observations(row, measure.metric) < measure.enough
        or not abs(value) <= LARGEST
    ):
        return math.nan
    return value


def extended(values: bytes, missing: int, row: Sequence[float], kept: int) -> bytes:
    """*values* with *missing* rows of gaps and a new one, the newest *kept* of them."""
    cells = np.full((min(missing, kept) + 1, len(row)), math.nan, CELL)
    cells[-1] = row
    return (values + cells.tobytes())[-kept * len(row) * CELL.itemsize :]


def revised(values: bytes, back: int, row: Sequence[float]) -> bytes:
    """*values* with another row, *back* windows before the newest; the same where none is there."""
    width = len(row) * CELL.itemsize
    end = len(values) - back * width
    if end <= 0:
        return values
    return values[: end - width] + np.array(row, CELL).tobytes() + values[end:]


def table(values: bytes, width: int) -> Floats:
    """The rows as numbers: [n, width]."""
    return np.frombuffer(values, CELL).reshape(-1, width).astype(np.float64)


def packed(values: Floats) -> bytes:
    """One metric's values [n], NaN for gaps, as `unpacked` reads them."""
    return values.astype(CELL).tobytes()


def unpacked(values: bytes) -> Floats:
    """The way back from `packed`."""
    return np.frombuffer(values, CELL).astype(np.float64)


def filled(column: Floats, least: int, most: float) -> Filled | None:
    """The column [n] from its first value to its last; None where too little is known of it.

    Args:
        column: NaN for gaps.
        least: Values that it must have.
        most: Part of it that may be gaps.
    """
    there = np.flatnonzero(np.isfinite(column))
    if there.size < max(least, 1):
        return None
    first, last = int(there[0]), int(there[-1])
    whole = last - first + 1
    if whole - there.size > most * whole:
        return None
    at = np.arange(first, last + 1, dtype=np.float64)
    return Filled(first, np.interp(at, there, column[there]), int(there.size))

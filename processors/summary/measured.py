"""Moments and extremes of rows of events, in C where it was built."""

from __future__ import annotations

import numpy as np

import native
from processors.summary.table import COUNT, HIGH, LIMB, LOW, NEVER, SUM, Ints
from schemas.partial import LIMIT

__all__ = ["measured"]

HALF = 20  # bits: values are split in two so that no product leaves int64


def measured(values: Ints, order: Ints, first: Ints) -> tuple[Ints, Ints]:
    """How many values each row has of each metric, their sums, sums of squares, and extremes.

    Args:
        values: [n, M], of each event, negative where it has none.
        order: [k] events, those of one row after another.
        first: [g] where each row begins in `order`; none is empty.

    Returns:
        Moments [g, M, 4], whose low limbs may hold more than 2³⁶, and extremes [g, M, 2].

    Raises:
        ValueError: A value is not below schemas.partial.LIMIT.
    """
    shape = (len(first), values.shape[1])
    moments = np.empty((*shape, 4), dtype=np.int64)
    extremes = np.empty((*shape, 2), dtype=np.int64)
    if native.core is not None:
        rows = (np.ascontiguousarray(each, np.int64) for each in (values, order, first))
        _check(native.core.moments(*rows, moments, extremes))
    else:
        for metric in range(shape[1]):
            _measure(values[order, metric], first, moments[:, metric], extremes[:, metric])
    return moments, extremes


def _check(top: int) -> None:
    if top >= LIMIT:
        raise ValueError(f"a value is {top}: the decoder must reject what is not below {LIMIT}")


def _measure(values: Ints, first: Ints, moments: Ints, extremes: Ints) -> None:
    """Fill in one metric's moments and extremes per row."""
    here = values >= 0
    top = int(values.max())
    _check(top)
    moments[:, COUNT] = np.add.reduceat(here, first, dtype=np.int64)
    extremes[:, 0] = np.minimum.reduceat(np.where(here, values, NEVER), first)
    values = np.where(here, values, 0)
    extremes[:, 1] = np.maximum.reduceat(np.where(here, values, -1), first)
    moments[:, SUM] = np.add.reduceat(values, first)
    if top < 1 << HALF:
        moments[:, HIGH] = 0
        moments[:, LOW] = np.add.reduceat(values * values, first)
    else:
        head, tail = values >> HALF, values & (1 << HALF) - 1
        cross = head * tail
        moments[:, HIGH] = np.add.reduceat(
            (head * head << 2 * HALF - LIMB) + (cross >> LIMB - HALF - 1), first
        )
        rest = (cross & (1 << LIMB - HALF - 1) - 1) << HALF + 1
        moments[:, LOW] = np.add.reduceat(rest + tail * tail, first)

"""Histograms of rows of events, in C where it was built."""

from __future__ import annotations

import numpy as np

import native
from processors.sketch import EDGE, FIRST, buckets
from processors.summary.counted import counted
from processors.summary.table import ROW, WIDTH, Ints

__all__ = ["histograms"]


def histograms(values: Ints, order: Ints, first: Ints) -> tuple[Ints, Ints]:
    """The cells of each row and how many values are in each.

    Args:
        values: [n, M], of each event, negative where it has none, below 2^53.
        order: [k] events, those of one row after another.
        first: [g] where each row begins in `order`; none is empty, and the first begins at 0.

    Returns:
        Cells [h] as in a Summary, ascending, and their counts [h].
    """
    if native.core is not None:
        rows = (np.ascontiguousarray(each, np.int64) for each in (values, order, first))
        found, counts = np.empty((2, len(order) * values.shape[1]), np.int64)
        kinds = native.core.cells(*rows, FIRST, EDGE, found, counts)
        return found[:kinds].copy(), counts[:kinds].copy()
    row = np.repeat(np.arange(len(first)), np.diff(first, append=len(order)))
    codes = []
    for metric in range(values.shape[1]):
        mine, here = values[order, metric], row
        if (absent := mine < 0).any():
            mine, here = mine[~absent], row[~absent]
        codes.append(here * ROW + (metric << WIDTH) + buckets(mine) + 1)
    return counted(np.concatenate(codes))

"""Histograms that are made in C are those that Python makes, and those that a plain loop finds."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import native
from processors.sketch import EDGE, FIRST, buckets
from processors.summary.histograms import histograms
from processors.summary.table import Ints, M
from schemas.partial import LIMIT

pytestmark = pytest.mark.usefixtures("way")

VALUES = st.integers(-1, 3) | st.integers(1 << 19, 1 << 21) | st.integers(LIMIT - 9, LIMIT - 1)


def counted(values: Ints, order: Ints, first: Ints) -> list[tuple[int, int]]:
    """Each cell with its count, by a loop."""
    found = Counter[int]()
    for row, events in enumerate(np.split(order, first[1:])):
        for metric in range(M):
            some = values[events, metric]
            for bucket in buckets(some[some >= 0]).tolist():
                found[(row * M + metric << 16) + bucket + 1] += 1
    return sorted(found.items())


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
    st.lists(VALUES, min_size=1, max_size=30),
    st.integers(0, 99),
)
def test_cells_are_those_of_the_values(sizes: list[int], some: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.choice(np.array(some, np.int64), (sum(sizes), M))
    order = rng.permutation(sum(sizes))
    first = np.cumsum([0, *sizes[:-1]])

    cells, counts = histograms(values, order, first)

    assert counted(values, order, first) == list(zip(cells.tolist(), counts.tolist(), strict=True))


def test_rows_that_are_not_there_are_refused() -> None:
    if native.core is not None:
        values, room, of = np.zeros((2, M), np.int64), np.zeros(2 * M, np.int64), np.array
        for order, first in (([0, 7], [0, 1]), ([0, 1], [0, 9]), ([0, 1], [1]), ([0, 1], [0, -1])):
            with pytest.raises(ValueError, match="where there are none"):
                native.core.cells(values, of(order), of(first), FIRST, EDGE, room, room.copy())
        with pytest.raises(ValueError, match="not as long"):
            native.core.cells(values, of([0, 1]), of([0]), FIRST, EDGE, room[:9], room)
        with pytest.raises(ValueError, match="not as long"):
            native.core.cells(room, of([0, 1]), of([0]), FIRST, EDGE, room, room.copy())


def test_a_value_beyond_all_buckets_leaves_the_tables_alone() -> None:
    if native.core is not None:
        values, found = np.full((40, M), (1 << 63) - 1), np.zeros(40 * M, np.int64)
        counts, order = found.copy(), np.arange(40)

        assert native.core.cells(values, order, order[:1], FIRST, EDGE, found, counts) == M
        assert [40] * M == counts[:M].tolist()

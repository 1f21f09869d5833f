"""What is measured in C is what is measured in Python, and what a plain loop finds."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import native
from processors.summary.measured import measured
from processors.summary.table import LIMB, NEVER
from schemas.partial import LIMIT

pytestmark = pytest.mark.usefixtures("way")

VALUES = st.integers(-1, 3) | st.integers(1 << 19, 1 << 21) | st.integers(LIMIT - 9, LIMIT - 1)
ROWS = st.lists(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=5), min_size=1, max_size=5)


@given(ROWS, st.randoms(use_true_random=False))
def test_moments_and_extremes_are_those_of_the_values(
    rows: list[list[tuple[int, int]]], chance: random.Random
) -> None:
    flat = [(i, event) for i, row in enumerate(rows) for event in row]
    chance.shuffle(flat)
    values = np.array([event for _, event in flat], np.int64)
    order = np.argsort([i for i, _ in flat], kind="stable")
    first = np.cumsum([0, *map(len, rows[:-1])])

    moments, extremes = measured(values, order, first)

    for i, row in enumerate(rows):
        for metric in range(2):
            some = [event[metric] for event in row if event[metric] >= 0]
            count, total, high, low = moments[i, metric].tolist()
            assert [len(some), sum(some)] == [count, total]
            assert sum(each * each for each in some) == (high << LIMB) + low
            assert [min(some, default=NEVER), max(some, default=-1)] == extremes[i, metric].tolist()


def test_a_value_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match=f"a value is {LIMIT}"):
        measured(np.array([[LIMIT]]), np.array([0]), np.array([0]))


def test_rows_that_are_not_there_are_refused() -> None:
    if native.core is not None:
        one, two = np.zeros((1, 1), np.int64), np.zeros((2, 1, 4), np.int64)
        ends, of = np.zeros((2, 1, 2), np.int64), np.array
        with pytest.raises(ValueError, match="where there are none"):
            native.core.moments(one, of([0]), of([0, 2]), two, ends)
        with pytest.raises(ValueError, match="where there are none"):
            native.core.moments(one, of([7]), of([0, 1]), two, ends)
        with pytest.raises(ValueError, match="of other rows or metrics"):
            native.core.moments(one, of([0]), of([0]), two, ends[:1])

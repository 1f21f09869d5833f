"""What is counted and merged in C is what is counted and merged in Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import native
from processors.summary.counted import counted, merged, tallied

pytestmark = pytest.mark.usefixtures("way")


@given(st.lists(st.integers(0, 40) | st.integers(0, 2**62), max_size=60))
def test_codes_are_counted_the_same(codes: list[int]) -> None:
    expected = np.unique(np.array(codes, np.int64), return_counts=True)

    for one, two in zip(expected, counted(np.array(codes, np.int64)), strict=True):
        assert one.tolist() == two.tolist()


@given(st.lists(st.tuples(st.integers(0, 40) | st.integers(0, 2**62), st.integers(0, 2**40))))
def test_counts_are_summed_the_same(pairs: list[tuple[int, int]]) -> None:
    expected: dict[int, int] = {}
    for code, count in pairs:
        expected[code] = expected.get(code, 0) + count
    codes, counts = np.array(pairs, np.int64).reshape(-1, 2).T.copy()

    found, sums = tallied(codes, counts)

    assert sorted(expected.items()) == list(zip(found.tolist(), sums.tolist(), strict=True))


@given(st.lists(st.lists(st.integers(0, 40) | st.integers(0, 2**40)), max_size=70))
def test_counts_of_parts_that_ascend_are_summed_the_same(parts: list[list[int]]) -> None:
    codes = np.array([code for part in parts for code in sorted(part)], np.int64)
    expected = np.unique(codes, return_counts=True)

    found, sums = tallied(codes.copy(), np.ones_like(codes))

    assert [each.tolist() for each in expected] == [found.tolist(), sums.tolist()]


@given(st.lists(st.integers(0, 2**64 - 1)), st.lists(st.integers(0, 2**64 - 1)))
def test_ids_are_merged_the_same(a: list[int], b: list[int]) -> None:
    one, two = (np.sort(np.array(each, np.uint64)) for each in (a, b))

    assert sorted(a + b) == merged(one, two).tolist()


def test_too_little_room_is_refused() -> None:
    if native.core is not None:
        a, b = np.zeros(1, np.uint64), np.zeros(2, np.uint64)
        with pytest.raises(ValueError, match="a column of 3 items"):
            native.core.merged(a, b, np.zeros(2, np.uint64))

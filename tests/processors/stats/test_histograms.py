import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.sketch import buckets
from processors.stats.histograms import pool, quantile, sample, steps
from schemas.window import Histogram


def histogram(values: list[int]) -> Histogram:
    found, counts = np.unique(buckets(np.array(values, dtype=np.int64)), return_counts=True)
    return Histogram(tuple(found.tolist()), tuple(counts.tolist()))


VALUES = st.lists(st.integers(0, 10**9), min_size=1, max_size=60)


@given(a=VALUES, b=VALUES)
def test_pooled_histograms_are_the_histogram_of_the_pooled_values(
    a: list[int], b: list[int]
) -> None:
    assert histogram(a + b) == pool([histogram(a), histogram(b)])


@given(values=VALUES)
def test_the_sample_is_the_values_within_one_percent_but_for_their_order(
    values: list[int],
) -> None:
    assert pytest.approx(sorted(values), rel=0.01) == sample(histogram(values)).tolist()


@given(values=VALUES, q=st.sampled_from([0.05, 0.5, 0.95, 1.0]))
def test_at_least_the_share_lies_at_or_below_a_quantile(values: list[int], q: float) -> None:
    found = quantile(histogram(values), q)
    at = buckets(np.array(values, dtype=np.int64))

    assert found is not None
    assert (at <= found).mean() >= q - 1e-9
    assert (at < found).mean() < q


def test_nothing_has_no_quantile() -> None:
    assert quantile(Histogram(), 0.5) is None


def test_a_factor_is_so_many_buckets() -> None:
    assert (0, 9, 35, -5) == (steps(1.0), steps(1.2), steps(2.0), steps(0.9))

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.sketch import ALPHA, ESTIMATES, GAMMA, ZERO, buckets, quantile


def exact_bucket(value: int) -> int:
    bucket = 0
    while GAMMA**bucket < value:
        bucket += 1
    return bucket if value else ZERO


@pytest.mark.parametrize("value", [*range(200), 999, 1_000, 12_345])
def test_a_bucket_is_the_smallest_power_that_holds_its_value(value: int) -> None:
    assert exact_bucket(value) == buckets(np.array([value]))[0]


@given(st.integers(0, 1800))
def test_an_edge_belongs_to_the_bucket_below_it(bucket: int) -> None:
    edge = int(GAMMA**bucket)
    found = buckets(np.array([edge, edge + 1]))

    assert GAMMA ** int(found[0]) >= edge > GAMMA ** int(found[0] - 1)
    assert found[1] >= bucket + 1


@given(st.integers(1, (1 << 53) - 1))
def test_every_value_lies_in_its_bucket(value: int) -> None:
    bucket = int(buckets(np.array([value]))[0])

    assert GAMMA**bucket >= value
    assert GAMMA ** (bucket - 1) < value


@given(st.integers(1, (1 << 53) - 1))
def test_an_estimate_is_within_one_percent_of_every_value_of_its_bucket(value: int) -> None:
    estimate = Fraction(float(ESTIMATES[buckets(np.array([value]))[0] + 1]))

    assert abs(estimate - value) <= Fraction(1, 100) * value


def draw(name: str, size: int) -> np.ndarray:
    rng = np.random.default_rng(size)
    shapes = {
        "lognormal": lambda: rng.lognormal(13, 1.5, size),
        "uniform": lambda: rng.uniform(0, 1e9, size),
        "pareto": lambda: 1e5 * (1 + rng.pareto(1.1, size)),
        "zeros and ones": lambda: rng.integers(0, 2, size),
        "two peaks": lambda: np.where(rng.random(size) < 0.95, 2e5, 9e6) + rng.normal(0, 99, size),
        "one value": lambda: np.full(size, 777_777),
    }
    return np.clip(shapes[name](), 0, 1 << 50).astype(np.int64)


@pytest.mark.parametrize(
    "name", ["lognormal", "uniform", "pareto", "zeros and ones", "two peaks", "one value"]
)
@pytest.mark.parametrize("size", [1, 2, 10, 1_000, 50_000])
def test_quantiles_are_within_one_percent_of_the_exact_ones(name: str, size: int) -> None:
    values = draw(name, size)
    bucket, count = np.unique(buckets(values), return_counts=True)
    low, high = float(values.min()), float(values.max())
    for q in (0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0):
        exact = np.quantile(values, q, method="lower")

        assert abs(exact - quantile(bucket, count, q, low, high)) <= ALPHA * exact * (1 + 1e-12)


def test_an_estimate_never_leaves_the_range_of_what_was_seen() -> None:
    bucket, count = np.unique(buckets(np.array([777])), return_counts=True)

    assert 777.0 == quantile(bucket, count, 0.5, 777.0, 777.0)


def test_merging_sketches_is_adding_counts() -> None:
    values = draw("lognormal", 1_000)
    whole = np.bincount(buckets(values), minlength=2_000)
    parts = [np.bincount(buckets(part), minlength=2_000) for part in np.split(values, 4)]

    assert np.array_equal(whole, sum(parts))


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan")])
def test_a_quantile_outside_zero_to_one_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        quantile(np.array([1]), np.array([1]), q)


def test_an_empty_sketch_has_no_quantile() -> None:
    with pytest.raises(ValueError, match="empty sketch"):
        quantile(np.array([], int), np.array([], int), 0.5)

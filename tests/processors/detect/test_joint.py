"""Metrics that are judged together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from processors.detect.joint import distance, learn, part, shrink

RNG = np.random.default_rng(0)
TOGETHER = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])


def draw(n: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.random.default_rng(n).multivariate_normal([100, 50, 0], TOGETHER, n)


def test_with_much_past_the_squares_are_chi_square() -> None:
    squares = distance(learn(draw(20_000)), draw(5_000)) ** 2

    assert pytest.approx(0.05, abs=0.01) == (squares > stats.chi2(3).isf(0.05)).mean()
    assert pytest.approx(0.01, abs=0.005) == (squares > stats.chi2(3).isf(0.01)).mean()


def test_two_metrics_that_part_are_further_than_two_that_rise_together() -> None:
    usual = learn(draw(2_000))
    rise, apart = distance(usual, np.array([[102.0, 52.0, 0.0], [102.0, 48.0, 0.0]]))

    assert rise < 3.0
    assert apart > 6.0


def test_the_parts_add_up_and_the_guilty_one_has_the_most() -> None:
    parts = part(learn(draw(2_000)), np.array([100.0, 50.0, 7.0]))

    assert pytest.approx(1.0) == parts.sum()
    assert 2 == int(np.argmax(parts))
    assert not part(learn(draw(2_000)), np.full(3, math.nan)).any()


def test_an_outage_in_the_past_does_not_widen_what_is_usual() -> None:
    past = draw(500)
    past[:25] += 1_000
    (far,) = distance(learn(past), np.array([[110.0, 50.0, 0.0]]))

    assert far > 8.0


def test_shrinking_is_that_of_the_paper() -> None:
    z = RNG.normal(size=(40, 6))
    z -= z.mean(axis=0)
    sample = np.cov(z.T, bias=True)
    mean = np.trace(sample) / 6
    noise = sum(((np.outer(row, row) - sample) ** 2).sum() for row in z) / 40**2
    share = min(noise / ((sample - mean * np.eye(6)) ** 2).sum(), 1.0)
    covariance, shrunk = shrink(z)

    assert pytest.approx(share) == shrunk
    np.testing.assert_allclose(share * mean * np.eye(6) + (1 - share) * sample, covariance)


def test_more_metrics_than_points_can_be_judged() -> None:
    past = RNG.normal(size=(10, 40))

    assert np.isfinite(distance(learn(past), past)).all()


def test_a_constant_metric_and_absent_values_are_no_obstacle() -> None:
    past = np.c_[np.full(50, 3.0), RNG.normal(size=50)]
    past[::7, 1] = math.nan
    near, far = distance(learn(past), np.array([[3.0, math.nan], [9.0, 0.0]]))

    assert 0.0 == near < far
    assert np.isfinite(distance(learn(np.full((20, 2), 5.0)), np.full((1, 2), 5.0))).all()


def test_one_that_is_mostly_constant_has_its_plain_spread() -> None:
    past = np.zeros((100, 1))
    past[:10] = 1.0

    assert pytest.approx(0.3) == learn(past).spread[0]


@pytest.mark.parametrize(
    ("past", "sentence"),
    [
        (np.zeros((5, 2)), "8 or more"),
        (np.zeros(20), "8 or more"),
        (np.full((9, 1), math.nan), "no value"),
    ],
)
def test_a_past_that_tells_nothing_is_refused(past: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        learn(past)  # type: ignore[arg-type]  # each wrong on purpose

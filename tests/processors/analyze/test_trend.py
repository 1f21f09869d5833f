from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from processors.analyze.trend import Direction, Good, Trend, trend
from processors.analyze.trend.direction import TrendPolicy
from processors.analyze.trend.mann_kendall import mann_kendall

Floats = npt.NDArray[np.float64]


def ar(n: int, phi: float, seed: int) -> Floats:
    drawn = np.random.default_rng(seed).normal(size=n)
    drawn[1:] *= math.sqrt(1 - phi * phi)
    for i in range(1, n):
        drawn[i] += phi * drawn[i - 1]
    return drawn


def of(values: Floats, good: Good = Good.NEITHER, **policy: float) -> Trend:
    return trend(np.arange(float(values.size)), values, good, TrendPolicy(**policy))


def test_s_and_the_slope_are_those_of_every_pair() -> None:
    times, values = np.array([0.0, 1, 2, 4, 7, 8, 9, 12]), np.array([3.0, 1, 4, 1, 5, 9, 2, 6])
    pairs = list(itertools.combinations(range(8), 2))
    found = mann_kendall(times, values)

    assert sum(np.sign(values[j] - values[i]) for i, j in pairs) == found.s
    slopes = [(values[j] - values[i]) / (times[j] - times[i]) for i, j in pairs]
    assert pytest.approx(np.median(slopes)) == found.slope


def test_the_slope_and_its_interval_are_those_of_scipy_where_values_are_independent() -> None:
    times = np.arange(2_000.0)
    values = np.random.default_rng(1).normal(size=2_000) + 0.003 * times
    expected = stats.theilslopes(values, times, 0.95)
    found = mann_kendall(times, values)

    assert found.inflation < 1.15
    assert pytest.approx(expected.slope) == found.slope
    assert pytest.approx((expected.low_slope, expected.high_slope), rel=0.02) == (
        found.low,
        found.high,
    )


def test_ties_make_the_variance_that_of_scipys_kendall() -> None:
    rng = np.random.default_rng(8)
    values = rng.integers(0, 5, 1_500).astype(float)
    found = mann_kendall(np.arange(1_500.0), values)
    expected = stats.kendalltau(np.arange(1_500), values, method="asymptotic").pvalue

    assert pytest.approx(expected, abs=0.05) == found.p


@pytest.mark.parametrize(("n", "phi"), [(20, 0.0), (20, 0.3), (60, 0.0), (60, 0.5), (200, 0.7)])
def test_noise_has_a_trend_as_seldom_as_is_said(n: int, phi: float) -> None:
    trials = 250
    times = np.arange(float(n))
    wrong = sum(mann_kendall(times, ar(n, phi, seed)).p < 0.05 for seed in range(trials))

    assert stats.binomtest(wrong, trials, 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_a_course_of_the_day_has_a_trend_as_seldom_as_is_said(phi: float) -> None:
    trials, day = 150, 3.0 * np.sin(np.arange(192) * 2 * np.pi / 24)
    found = [of(day + ar(192, phi, seed)) for seed in range(trials)]
    wrong = sum(each.p < 0.05 for each in found)

    assert {24} == {each.period for each in found} - {23, 25}
    assert stats.binomtest(wrong, trials, 0.05, alternative="greater").pvalue > 0.01


def test_the_interval_holds_the_slope_as_often_as_it_says() -> None:
    times = np.arange(80.0)
    found = [mann_kendall(times, ar(80, 0.4, seed) + 0.05 * times) for seed in range(200)]
    held = sum(each.low <= 0.05 <= each.high for each in found)

    assert stats.binomtest(held, 200, 0.95, alternative="less").pvalue > 0.01


@pytest.mark.parametrize(
    ("good", "slope", "expected"),
    [
        (Good.UP, 0.1, Direction.IMPROVING),
        (Good.UP, -0.1, Direction.DEGRADING),
        (Good.DOWN, 0.1, Direction.DEGRADING),
        (Good.DOWN, -0.1, Direction.IMPROVING),
        (Good.NEITHER, 0.1, Direction.RISING),
        (Good.NEITHER, -0.1, Direction.FALLING),
    ],
)
def test_a_direction_is_judged_by_what_is_good(
    good: Good, slope: float, expected: Direction
) -> None:
    values = 50.0 + slope * np.arange(200) + np.random.default_rng(1).normal(size=200)

    assert expected is of(values, good).direction


def test_next_to_no_change_is_stable_and_too_little_evidence_is_inconclusive() -> None:
    noise = np.random.default_rng(3).normal(size=200)

    assert Direction.STABLE is of(100.0 + noise).direction
    assert Direction.INCONCLUSIVE is of(100.0 + 30.0 * noise[:20]).direction


def test_a_change_that_is_sure_and_small_is_stable() -> None:
    values = 100.0 + 0.002 * np.arange(400) + 0.1 * np.random.default_rng(4).normal(size=400)
    found = of(values)

    assert found.p < 1e-6
    assert Direction.STABLE is found.direction


def test_a_constant_is_stable() -> None:
    found = of(np.full(30, 7.0))

    assert (Direction.STABLE, 0.0, 1.0) == (found.direction, found.slope, found.p)


def test_what_repeats_is_no_trend_and_hides_none() -> None:
    at = np.arange(240)
    season = 20.0 * np.sin(2 * np.pi * at / 24)
    noise = np.random.default_rng(2).normal(size=240)
    level, rising = of(100.0 + season + noise), of(100.0 + season + noise + 0.1 * at, Good.DOWN)

    assert (24, Direction.STABLE) == (level.period, level.direction)
    assert Direction.DEGRADING is rising.direction
    assert pytest.approx(0.1, rel=0.1) == rising.slope
    assert pytest.approx(0.1 * 239, rel=0.1) == rising.change


def test_many_values_are_averaged_in_blocks() -> None:
    values = 10.0 + 0.001 * np.arange(6_000) + np.random.default_rng(2).normal(size=6_000)
    found = of(values, Good.UP)

    assert Direction.IMPROVING is found.direction
    assert pytest.approx(0.001, rel=0.1) == found.slope
    assert found.confidence > 0.999


def test_a_trend_of_a_few_values_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 8 values"):
        of(np.arange(7.0))


@pytest.mark.parametrize("wrong", [{"level": 1.0}, {"little": 0.001}, {"least": -0.1}])
def test_policies_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="level must"):
        TrendPolicy(**wrong)

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from processors.analyze.correlation import correlations, spearman

Floats = npt.NDArray[np.float64]


def ar(n: int, phi: float, rng: np.random.Generator) -> Floats:
    drawn = rng.normal(size=n)
    for i in range(1, n):
        drawn[i] += phi * drawn[i - 1]
    return drawn


def test_of_independent_values_it_is_spearmans_of_scipy() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=2_000)
    y = 0.05 * x + rng.normal(size=2_000)
    rho, independent, p = spearman(x, y)
    expected = stats.spearmanr(x, y)

    assert pytest.approx(expected.statistic) == rho
    assert pytest.approx(2_000, rel=0.02) == independent
    assert pytest.approx(expected.pvalue, rel=0.2) == p


@pytest.mark.parametrize(("n", "phi"), [(30, 0.0), (60, 0.5), (200, 0.8), (100, 0.9)])
@pytest.mark.parametrize("most_lag", [0, 3])
def test_series_that_have_nothing_in_common_correlate_as_seldom_as_is_said(
    n: int, phi: float, most_lag: int
) -> None:
    rng = np.random.default_rng(n)
    trials = 250
    wrong = 0
    for _ in range(trials):
        (found,) = correlations({"x": ar(n, phi, rng), "y": ar(n, phi, rng)}, most_lag)
        wrong += found.p < 0.05

    assert stats.binomtest(wrong, trials, 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("lag", [-3, 0, 2])
def test_the_one_that_goes_first_is_told_with_its_lag(lag: int) -> None:
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=320)
    x, y = drawn[10:310], -np.exp(drawn[10 - lag : 310 - lag] + 0.3 * rng.normal(size=300))
    (found,) = correlations({"x": x, "y": y}, most_lag=5)

    assert lag == found.lag
    assert found.rho < -0.8
    assert found.p < 1e-10


def test_pairs_are_ranked_and_corrected_for_each_other() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=100)
    series = {"x": x, "near": x + rng.normal(size=100), "apart": rng.normal(size=100)}
    found = correlations(series)

    assert ("x", "near") == (found[0].first, found[0].second)
    assert 3 == len(found)
    assert pytest.approx(3 * found[0].p) == found[0].adjusted_p


def test_what_is_missing_is_left_out_and_constants_are_no_metrics() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=50)
    holes = x.copy()
    holes[::3] = math.nan
    (found,) = correlations({"x": x, "holes": holes, "same": np.ones(50)})

    assert ("x", "holes") == (found.first, found.second)
    assert pytest.approx(1.0) == found.rho
    assert [] == correlations({"x": x, "few": np.where(np.arange(50) < 11, x, math.nan)})


def test_series_of_other_times_and_lags_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="same times"):
        correlations({"x": np.ones(20), "y": np.ones(21)})
    with pytest.raises(ValueError, match="must not be negative"):
        correlations({}, most_lag=-1)

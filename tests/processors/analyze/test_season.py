from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.tsa.seasonal import seasonal_decompose
from statsmodels.tsa.stattools import acf

from processors.analyze.season import autocorrelation, decompose, deseasonalized, period_of


def seasonal(n: int, period: int, seed: int) -> np.ndarray:
    at = np.arange(n)
    return (
        2 * np.sin(2 * np.pi * at / period) + 0.02 * at + np.random.default_rng(seed).normal(size=n)
    )


@pytest.mark.parametrize("period", [7, 12])
def test_a_series_comes_apart_as_in_statsmodels(period: int) -> None:
    values = seasonal(100, period, 1)
    expected = seasonal_decompose(values, model="additive", period=period)
    found = decompose(values, period)

    assert pytest.approx(expected.trend, nan_ok=True) == found.trend
    assert pytest.approx(expected.seasonal) == found.season
    assert pytest.approx(expected.resid, nan_ok=True) == found.rest


def test_the_strength_of_a_season_is_its_part_of_what_the_trend_leaves() -> None:
    pure = np.resize([1.0, 5.0, 2.0, 0.0], 80)

    assert pytest.approx(1.0) == decompose(pure, 4).strength
    assert decompose(np.random.default_rng(1).normal(size=800), 4).strength < 0.05
    assert 0.0 == decompose(np.ones(80), 4).strength


def test_correlations_are_those_of_statsmodels() -> None:
    values = seasonal(200, 10, 2)

    for most in (3, 50):
        expected = acf(values, adjusted=True, nlags=most)
        assert pytest.approx(expected) == autocorrelation(values, most)
        assert pytest.approx(expected) == autocorrelation(np.array([values, values]), most)[1]
    assert [0.0] * 6 == autocorrelation(np.full(30, 3.3), 5).tolist()


@pytest.mark.parametrize("period", [6, 12, 24])
def test_a_period_is_found(period: int) -> None:
    found = [period_of(seasonal(300, period, seed)) or 0 for seed in range(20)]

    assert sum(abs(each - period) <= period / 20 for each in found) >= 19


def test_a_long_period_is_found_almost_to_the_point() -> None:
    at = np.arange(30_000)
    values = 2 * np.sin(2 * np.pi * at / 1_440) + np.random.default_rng(1).normal(size=at.size)

    assert period_of(values) in (1_439, 1_440, 1_441)


@pytest.mark.parametrize(("n", "phi"), [(60, 0.0), (120, 0.5), (300, 0.8), (300, 1.0)])
def test_noise_has_no_period(n: int, phi: float) -> None:
    trials, found = 200, 0
    for seed in range(trials):
        values = np.random.default_rng(seed).normal(size=n)
        for i in range(1, n):
            values[i] += phi * values[i - 1]
        found += period_of(values) is not None

    assert stats.binomtest(found, trials, 0.05, alternative="greater").pvalue > 0.01


def test_a_season_is_taken_off_and_noise_has_none() -> None:
    values = seasonal(240, 12, 3)
    plain, period = deseasonalized(values)
    noise = np.random.default_rng(3).normal(size=240)

    assert 12 == period
    assert pytest.approx(values - decompose(values, 12).season) == plain
    assert (noise.tolist(), None) == (deseasonalized(noise)[0].tolist(), deseasonalized(noise)[1])


def test_too_few_points_have_no_period() -> None:
    assert period_of(np.resize([1.0, 2.0], 11)) is None
    with pytest.raises(ValueError, match="no two periods"):
        decompose(np.arange(7.0), 4)

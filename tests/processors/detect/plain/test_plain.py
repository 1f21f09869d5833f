"""The plain detectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import optimize, stats
from statsmodels.tsa.ar_model import AutoReg
from statsmodels.tsa.holtwinters import ExponentialSmoothing

from processors.detect.plain import DETECTORS, Setting, score
from processors.detect.plain.autoregression import fit
from processors.detect.plain.forest import learn as grow_forest
from processors.detect.plain.smoothing import expected
from processors.detect.plain.support import kernel, solve

SETTING = Setting()
# σ that a normal series passes in at most 2 % of its points; what is learnt has skew scores.
RARE = {"isolation_forest": 6.0, "one_class_svm": 12.0}
# The paths of a tree end at the edge of its sample, however far out a point is.
RANK = {"isolation_forest": 0.97}
Floats = npt.NDArray[np.float64]


def calm(points: int = 600, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(100, 2, points)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_spike_is_among_the_highest(name: str) -> None:
    values = calm()
    values[500] += 30
    scores = score(name, values)

    assert scores[500] >= np.quantile(scores, RANK.get(name, 0.99))
    assert scores[500] >= 3.0


@pytest.mark.parametrize("name", DETECTORS)
def test_the_future_does_not_matter(name: str) -> None:
    values = calm(300)
    other = np.r_[values[:200], values[200:] * 5]

    np.testing.assert_allclose(score(name, values)[:200], score(name, other)[:200], atol=1e-9)


@pytest.mark.parametrize("name", DETECTORS)
def test_few_points_without_anomaly_are_far_out(name: str) -> None:
    scores = np.concatenate([score(name, calm(seed=seed))[100:] for seed in range(2)])

    assert (scores > RARE.get(name, 3.0)).mean() <= 0.02


@pytest.mark.parametrize("name", DETECTORS)
def test_scores_stay_between_nothing_and_the_cap(name: str) -> None:
    for values in (np.r_[np.zeros(100), 1e9, np.zeros(100)], np.full(200, 3.0), calm(20), calm(0)):
        scores = score(name, values)

        assert values.shape == scores.shape
        assert np.all((scores >= 0) & (scores <= SETTING.cap))


@pytest.mark.parametrize("name", DETECTORS)
def test_the_same_input_gives_the_same_bits(name: str) -> None:
    np.testing.assert_array_equal(score(name, calm()), score(name, calm()))


def test_the_z_score_is_that_of_scipy() -> None:
    values = calm(200)
    window = np.r_[values[60:180], values[180]]
    mean, sigma = window[:-1].mean(), stats.tstd(window[:-1])

    assert pytest.approx(abs(values[180] - mean) / sigma) == score("zscore", values)[180]


def test_the_quartiles_and_the_mad_are_those_of_scipy() -> None:
    values = calm(200)
    values[180] = 110.0
    past = values[60:180]
    fence = np.quantile(past, 0.75) + 1.5 * stats.iqr(past)
    sigma = stats.median_abs_deviation(past, scale="normal")

    assert pytest.approx(abs(110 - np.median(past)) / sigma, rel=1e-4) == score("mad", values)[180]
    values[180] = fence

    assert pytest.approx(2.698, abs=0.001) == score("iqr", values)[180]


@pytest.mark.parametrize("period", [0, 12])
def test_smoothing_forecasts_as_statsmodels_does(period: int) -> None:
    setting = Setting(period=period)
    values = calm(150) + np.sin(np.arange(150) / 12 * 2 * np.pi) * 5
    model = ExponentialSmoothing(
        values,
        trend="add",
        seasonal="add" if period else None,
        seasonal_periods=period or None,
        initialization_method="known",
        initial_level=values[0],
        initial_trend=0.0,
        initial_seasonal=np.zeros(period) if period else None,
    )
    done = model.fit(
        smoothing_level=setting.level,
        smoothing_trend=setting.trend,
        smoothing_seasonal=setting.season if period else None,
        optimized=False,
    )

    np.testing.assert_allclose(done.fittedvalues, expected(values, setting), rtol=1e-9)
    assert 0 == expected(values[:0], setting).size


def test_a_season_that_is_known_is_no_anomaly() -> None:
    rng = np.random.default_rng(0)
    values = np.tile(np.r_[np.zeros(22), 50.0, 50.0], 40) + rng.normal(0, 1, 960)
    assert not score("exponential", values[:47], Setting(period=24)).any()
    with_season = score("exponential", values, Setting(period=24, window=480))[480:]
    without = score("exponential", values, Setting(window=480))[480:]

    assert with_season.max() < 6.0
    assert np.mean(with_season[22::24]) < np.mean(without[22::24]) / 2


def test_the_autoregression_is_that_of_statsmodels() -> None:
    values = np.cumsum(calm(200) - 100) * 0.1 + calm(200, 1)
    theirs = AutoReg(values, lags=3).fit()
    coefficients, sigma = fit(values, 3)

    np.testing.assert_allclose(theirs.params, coefficients, rtol=1e-6)
    assert pytest.approx(np.sqrt((theirs.resid**2).sum() / (197 - 4))) == sigma


def test_the_forest_finds_the_point_between_two_groups() -> None:
    rng = np.random.default_rng(0)
    points = np.r_[rng.normal(-5, 0.5, (60, 2)), rng.normal(5, 0.5, (60, 2))]
    strangeness = grow_forest(points, SETTING, 0)

    assert strangeness(np.zeros((1, 2)))[0] > np.quantile(strangeness(points), 0.95)


def test_the_one_class_machine_solves_its_program() -> None:
    points = np.random.default_rng(0).normal(size=(30, 2))
    gram, outside = kernel(points, points), 0.2
    alpha, border = solve(gram, outside)
    best = optimize.minimize(
        lambda a: 0.5 * a @ gram @ a,
        np.full(30, 1 / 30),
        jac=lambda a: gram @ a,
        bounds=[(0, 1 / (outside * 30))] * 30,
        constraints={"type": "eq", "fun": lambda a: a.sum() - 1},
        options={"ftol": 1e-12, "maxiter": 1_000},
    )

    assert pytest.approx(best.fun, abs=1e-6) == 0.5 * alpha @ gram @ alpha
    assert (gram @ alpha < border - 1e-4).mean() <= outside


def test_the_one_class_machine_ends_with_what_it_has_when_turns_run_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("processors.detect.plain.support.TURNS", 3)
    points = np.random.default_rng(0).normal(size=(30, 2))
    alpha, _ = solve(kernel(points, points), 0.2)

    assert pytest.approx(1.0) == alpha.sum()
    assert np.all((alpha >= 0) & (alpha <= 1 / 6 + 1e-12))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"minimum": 10}, "20 ≤ minimum"),
        ({"level": 0.0}, "weights of smoothing"),
        ({"order": 0}, "order 1 or more"),
        ({"outside": 1.0}, "between 0 and 1"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(wrong: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Setting(**wrong)  # type: ignore[arg-type]  # each wrong on purpose


def test_an_unknown_name_and_a_gap_are_refused() -> None:
    with pytest.raises(ValueError, match="there are arima, exponential"):
        score("magic", calm())
    with pytest.raises(ValueError, match="fill gaps"):
        score("mad", np.array([1.0, np.nan]))

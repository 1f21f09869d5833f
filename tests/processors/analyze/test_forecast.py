from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from processors.analyze.forecast import forecast


def held(make: object, horizon: int, trials: int, level: float = 0.9) -> tuple[int, int]:
    """How many last values, *horizon* ahead, lie in their intervals."""
    count = 0
    for seed in range(trials):
        values = make(np.random.default_rng(seed))  # type: ignore[operator]
        found = forecast(values[:-horizon], horizon, level)
        count += bool(found.low[-1] <= values[-1] <= found.high[-1])
    return count, trials


def white(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return rng.normal(10, 2, 220)


def heavy(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return np.exp(rng.normal(0, 1, 220))


def walk(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return rng.normal(size=220).cumsum()


def season(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return 10 * np.sin(2 * np.pi * np.arange(220) / 12) + rng.normal(size=220)


@pytest.mark.parametrize("horizon", [1, 6])
@pytest.mark.parametrize("make", [white, heavy, walk, season])
def test_intervals_hold_as_many_values_as_they_say(make: object, horizon: int) -> None:
    count, trials = held(make, horizon, 200)

    assert stats.binomtest(count, trials, 0.85, alternative="less").pvalue > 0.01
    assert stats.binomtest(count, trials, 0.95, alternative="greater").pvalue > 0.01


def test_what_repeats_goes_on() -> None:
    values = season(np.random.default_rng(1))
    found = forecast(values[:-24], 24)

    assert 12 == found.period
    assert np.abs(found.mean - values[-24:]).mean() < 1.3
    assert (found.high - found.low).max() < 8


def test_a_level_that_has_moved_is_where_the_forecast_begins() -> None:
    rng = np.random.default_rng(4)
    found = forecast(100 + rng.normal(0, 1, 300).cumsum(), 3)
    values = 100 + np.random.default_rng(4).normal(0, 1, 300).cumsum()

    assert pytest.approx(values[-1], abs=2.0) == found.mean[0]
    assert found.high[2] - found.low[2] > found.high[0] - found.low[0]


def test_what_was_never_negative_is_not_forecast_to_be() -> None:
    found = forecast(np.random.default_rng(2).poisson(0.7, 100).astype(float), 5)

    assert found.low.min() >= 0.0


def test_a_constant_goes_on() -> None:
    found = forecast(np.full(50, 4.0), 3)

    assert [[4.0] * 3] * 3 == [found.mean.tolist(), found.low.tolist(), found.high.tolist()]


def test_a_higher_level_has_wider_intervals() -> None:
    values = white(np.random.default_rng(3))
    narrow, wide = forecast(values, 4, 0.5), forecast(values, 4, 0.95)

    assert (wide.high - wide.low > narrow.high - narrow.low).all()


def test_a_period_that_was_not_seen_twice_is_not_used() -> None:
    assert forecast(white(np.random.default_rng(3)), 2, period=150).period is None


@pytest.mark.parametrize(
    ("n", "horizon", "level"),
    [(19, 1, 0.9), (50, 0, 0.9), (50, 26, 0.9), (50, 1, 0.0), (50, 1, 1.0)],
)
def test_what_cannot_be_forecast_is_refused(n: int, horizon: int, level: float) -> None:
    with pytest.raises(ValueError, match="at least"):
        forecast(np.arange(float(n)), horizon, level)


@pytest.mark.parametrize(("n", "horizon"), [(20, 1), (20, 10), (31, 15)])
def test_few_values_give_wide_intervals_and_no_failure(n: int, horizon: int) -> None:
    found = forecast(np.random.default_rng(5).normal(size=n), horizon)

    assert np.isfinite([found.low, found.mean, found.high]).all()
    assert (found.low <= found.high).all()

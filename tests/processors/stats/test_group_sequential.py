import math

import numpy as np
import pytest
from scipy import stats

from processors.stats.group_sequential import bounds, spent


def test_five_equal_looks_have_the_published_bounds() -> None:
    # Lan-DeMets with O'Brien-Fleming's type of spending, two-sided 0.05 (Jennison & Turnbull 2000).
    times = (0.2, 0.4, 0.6, 0.8, 1.0)

    assert [4.877, 3.357, 2.680, 2.290, 2.031] == np.round(bounds(times, times, 0.025), 3).tolist()


def test_a_single_look_is_the_fixed_sample_test() -> None:
    assert pytest.approx(stats.norm.isf(0.05)) == float(bounds((1.0,), (7.0,), 0.05)[0])


def test_two_looks_are_what_the_bivariate_normal_says() -> None:
    times, amounts = (0.3, 1.0), (4.0, 10.0)
    first, last = bounds(times, amounts, 0.05)
    joint = stats.multivariate_normal(cov=[[1.0, math.sqrt(0.4)], [math.sqrt(0.4), 1.0]])
    reached = 1 - joint.cdf([first, last], rng=np.random.default_rng(1))

    assert pytest.approx(spent(0.05, 0.3), rel=1e-6) == stats.norm.sf(first)
    assert pytest.approx(0.05, abs=1e-5) == reached


@pytest.mark.parametrize(
    "information",
    [
        (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0),
        (1.0, 1.1, 5.0, 5.06, 5.2, 9.0, 9.2, 9.4, 20.0, 21.0),
    ],
)
def test_the_level_holds_when_information_comes_unevenly(information: tuple[float, ...]) -> None:
    rng = np.random.default_rng(3)
    times = tuple(k / 10 for k in range(1, 11))
    steps = np.sqrt(np.diff((0.0, *information)))
    z = np.cumsum(rng.normal(0, steps, (200_000, 10)), axis=1) / np.sqrt(information)
    wrong = (z >= bounds(times, information, 0.05)).any(axis=1).mean()

    assert pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 200_000)) == wrong


def test_the_bounds_do_not_depend_on_the_unit_of_information() -> None:
    times = (0.5, 0.7, 1.0)
    once = bounds(times, (3.0, 5.0, 6.0), 0.05)

    assert pytest.approx(once) == bounds(times, (3e5, 5e5, 6e5), 0.05)


def test_what_was_decided_stays_when_a_look_is_added() -> None:
    times, information = (0.2, 0.5, 0.9), (2.0, 3.0, 8.0)
    whole = bounds(times, information, 0.05)

    assert pytest.approx(whole[:2]) == bounds(times[:2], information[:2], 0.05)


def test_next_to_nothing_is_spent_early_and_all_of_it_at_the_end() -> None:
    assert spent(0.05, 0.01) < 1e-40
    assert pytest.approx(0.05) == spent(0.05, 1.0)
    assert bounds((0.01, 1.0), (0.1, 1.0), 0.05)[0] > 10


@pytest.mark.parametrize(
    ("times", "information"),
    [((0.5,), (1.0, 2.0)), ((0.5, 0.5), (1.0, 2.0)), ((0.5, 1.0), (2.0, 2.0)), ((0.5,), (0.0,))],
)
def test_looks_that_do_not_follow_one_another_are_refused(
    times: tuple[float, ...], information: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="information"):
        bounds(times, information, 0.05)


@pytest.mark.parametrize(("alpha", "time"), [(0.0, 0.5), (1.0, 0.5), (0.05, 0.0), (0.05, 1.1)])
def test_levels_and_times_that_cannot_be_are_refused(alpha: float, time: float) -> None:
    with pytest.raises(ValueError, match=r"level must|time must"):
        spent(alpha, time)

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from processors.analyze.change_points import Segmenting, changes, fitted
from processors.analyze.change_points.noise import Noise, left, noise, without_spikes
from processors.analyze.change_points.offline import _chances, _gain
from processors.analyze.change_points.penalized import segment
from processors.analyze.change_points.segments import Lines, line

Floats = npt.NDArray[np.float64]


def left_by_a_line(series: Floats) -> float:
    at = np.arange(series.shape[1])
    fitted = [np.polyval(np.polyfit(at, row, 1), at) for row in series]
    return float(((series - np.array(fitted)) ** 2).sum())


def ar(n: int, phi: float, seed: int) -> Floats:
    """AR(1) noise with variance 1."""
    drawn = np.random.default_rng(seed).normal(size=n)
    drawn[1:] *= math.sqrt(1 - phi * phi)
    for i in range(1, n):
        drawn[i] += phi * drawn[i - 1]
    return drawn


@pytest.mark.parametrize("d", [1, 3])
def test_what_a_line_leaves_is_what_polyfit_leaves(d: int) -> None:
    series = np.random.default_rng(d).normal(size=(d, 40)).cumsum(axis=1)
    lines = Lines.of(series)
    for end in (2, 7, 40):
        begins = np.arange(end - 1)
        expected = [left_by_a_line(series[:, begin:end]) for begin in begins]

        assert pytest.approx(expected, abs=1e-9) == lines.left(begins, end).tolist()


def test_a_line_is_that_of_polyfit() -> None:
    values = np.random.default_rng(1).normal(size=30)
    slope, begin = np.polyfit(np.arange(30), values, 1)

    assert pytest.approx((begin, slope)) == line(values)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(4, 16),
    shortest=st.integers(2, 4),
    penalty=st.floats(0.01, 20.0),
)
def test_no_other_segmentation_costs_less(seed: int, n: int, shortest: int, penalty: float) -> None:
    lines = Lines.of(np.random.default_rng(seed).normal(size=(1, n)).cumsum(axis=1))

    def cost(cuts: tuple[int, ...]) -> float:
        ends = (0, *cuts, n)
        parts = (lines.left(np.array([a]), b)[0] for a, b in itertools.pairwise(ends))
        return float(sum(parts)) + penalty * len(cuts)

    every = [
        cuts
        for k in range(n // shortest)
        for cuts in itertools.combinations(range(1, n), k)
        if all(b - a >= shortest for a, b in itertools.pairwise((0, *cuts, n)))
    ]
    found = segment(n, lines.left, penalty, shortest)

    assert found in every or not every
    assert pytest.approx(min(map(cost, every), default=0.0)) == (cost(found) if every else 0.0)


@pytest.mark.parametrize("phi", [0.0, 0.4, 0.7])
def test_noise_is_estimated_whatever_the_level_does(phi: float) -> None:
    values = ar(20_000, phi, seed=3) + 50.0 * (np.arange(20_000) > 9_000)
    found = noise(values, most=0.9)

    assert pytest.approx(phi, abs=0.05) == found.correlation
    assert pytest.approx((1 + phi) / (1 - phi), rel=0.15) == found.long_run
    assert Noise(1.0, 0.0).long_run == pytest.approx(1.0)


def test_a_lone_spike_is_replaced_and_a_step_is_not() -> None:
    values = np.random.default_rng(2).normal(size=200) + 8.0 * (np.arange(200) >= 100)
    spiked = values.copy()
    spiked[40] += 60.0

    assert values.tolist() == without_spikes(values, 5.0).tolist()
    assert [40] == np.flatnonzero(without_spikes(spiked, 5.0) != spiked).tolist()


def test_a_step_is_found_with_its_place_and_size() -> None:
    values = np.random.default_rng(5).normal(size=200) + 6.0 * (np.arange(200) >= 120)
    (found,) = changes(values)

    assert 120 == found.index
    assert pytest.approx(6.0, abs=0.8) == found.sides[0].shift
    assert found.p < 1e-6


def test_between_changes_a_series_is_its_lines() -> None:
    values = np.concatenate((np.full(30, 2.0), 9.0 + 0.5 * np.arange(30)))

    assert pytest.approx(values) == fitted(values, changes(values))
    assert pytest.approx(np.full(9, 3.0)) == fitted(np.full(9, 3.0), [])


def test_a_bend_is_found() -> None:
    at = np.arange(300.0)
    values = np.random.default_rng(6).normal(size=300) + 0.3 * np.maximum(at - 150, 0)
    (found,) = changes(values)

    assert abs(found.index - 150) <= 15
    assert pytest.approx((0.0, 0.3), abs=0.05) == (
        found.sides[0].slope_before,
        found.sides[0].slope_after,
    )


def test_series_that_change_together_are_found_where_one_alone_is_not() -> None:
    noises = np.random.default_rng(9).normal(size=(6, 120))
    step = 1.0 * (np.arange(120) >= 60)

    assert [] == [change.index for row in noises for change in changes(row + step)]
    (found,) = changes(noises + step)
    assert abs(found.index - 60) <= 3
    assert 6 == len(found.sides)


@settings(deadline=None, max_examples=30)
@given(scale=st.floats(1e-6, 1e6), shift=st.floats(-1e3, 1e3), seed=st.integers(0, 50))
def test_the_unit_of_a_series_is_of_no_matter(scale: float, shift: float, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=80) + 4.0 * (np.arange(80) >= 40)
    expected = [each.index for each in changes(values)]

    assert expected == [each.index for each in changes((values + shift) * scale)]


def test_changes_of_many_points_are_found_to_the_point() -> None:
    values = np.random.default_rng(7).normal(size=20_000)
    values[7_003:] += 9.0

    assert [7_003] == [each.index for each in changes(values)]


@pytest.mark.parametrize("n", [0, 1, 5, 9, 60])
def test_what_is_short_or_constant_has_no_change(n: int) -> None:
    assert [] == changes(np.full(n, 0.1))


def test_a_clean_step_is_found() -> None:
    assert [30] == [each.index for each in changes(np.repeat([1.0, 2.0], 30))]


def test_values_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="must be finite"):
        changes(np.array([1.0, math.nan] * 20))


@pytest.mark.parametrize(
    "wrong", [{"rarity": 0.0}, {"shortest": 1}, {"most": 10}, {"correlated": 1.0}, {"spike": 0.0}]
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Segmenting(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("n", "phi"), [(60, 0.0), (300, 0.0), (60, 0.5), (300, 0.5)])
def test_noise_has_a_change_in_one_series_of_twenty_at_most(n: int, phi: float) -> None:
    trials = 120
    alarms = sum(bool(changes(ar(n, phi, seed))) for seed in range(trials))

    assert stats.binomtest(alarms, trials, 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("n", [60, 120])
def test_the_p_of_the_best_place_in_noise_is_no_smaller_than_it_says(n: int, phi: float) -> None:
    trials, least = 300, []
    for seed in range(trials):
        values = ar(n, phi, seed)
        lines = Lines.of(values[None] - values.mean())
        best = max(range(5, n - 4), key=lambda place: _gain(lines, 0, place, n))
        least += _chances(values[None], [0, best, n])
    for level in (0.01, 0.05, 0.2):
        below = sum(p <= level for p in least)

        assert stats.binomtest(below, trials, level, alternative="greater").pvalue > 0.01


def test_the_p_of_a_change_that_is_there_is_small_in_slow_noise_too() -> None:
    values = [ar(120, 0.6, seed) + 6.0 * (np.arange(120) >= 60) for seed in range(20)]

    assert np.median([_chances(each[None], [0, 60, 120])[0] for each in values]) < 0.01


def test_what_lines_leave_has_its_long_run_variance() -> None:
    step = 9.0 * (np.arange(400) >= 250)
    found = [left(ar(400, 0.5, seed) + step, [0, 250, 400]) for seed in range(100)]
    logs = np.log([each.long_run for each in found])

    assert pytest.approx(3.0, rel=0.1) == math.exp(np.median(logs))
    assert pytest.approx(2.0 / np.median([each.freedom for each in found]), rel=0.4) == logs.var()

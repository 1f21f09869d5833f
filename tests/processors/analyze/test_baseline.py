from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from processors.analyze.baseline import (
    Aligned,
    Baseline,
    BaselinePolicy,
    Baselines,
    Kind,
    aligned,
    take,
)
from processors.analyze.trend import Good

HOUR, DAY = 3_600_000, 86_400_000
POLICY = BaselinePolicy()
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def hours(days: int, begin: int = 0) -> Ints:
    return begin + HOUR * np.arange(24 * days, dtype=np.int64)


def taken(kind: Kind, days: int, now: int, good: Good = Good.NEITHER) -> Baseline | None:
    times = hours(days)
    return take(POLICY, Baselines(), kind, times, times / HOUR, now, good).newest(kind)


def test_the_initial_baseline_is_of_the_first_week_once_it_is_over_and_never_another() -> None:
    assert taken(Kind.INITIAL, 20, now=7 * DAY - 1) is None
    first = taken(Kind.INITIAL, 20, now=9 * DAY)
    assert first is not None
    assert (0, 7 * DAY - HOUR, 1) == (first.times[0], first.times[-1], first.version)

    kept = Baselines({Kind.INITIAL: (first,)})
    times = hours(30)
    assert kept is take(POLICY, kept, Kind.INITIAL, times, times / HOUR, 30 * DAY)


def test_a_rolling_baseline_is_of_the_last_week_and_renewed_once_a_day() -> None:
    times = hours(20)
    first = take(POLICY, Baselines(), Kind.ROLLING, times, times / HOUR, 10 * DAY)
    soon = take(POLICY, first, Kind.ROLLING, times, times / HOUR, 11 * DAY - 1)
    later = take(POLICY, soon, Kind.ROLLING, times, times / HOUR, 11 * DAY)

    assert first is soon
    newest = later.newest(Kind.ROLLING)
    assert newest is not None
    assert (2, 4 * DAY, 11 * DAY - HOUR) == (newest.version, newest.times[0], newest.times[-1])
    assert first.newest(Kind.ROLLING) == later.newest(Kind.ROLLING, version=1)


def test_a_snapshot_is_of_the_week_before_a_change() -> None:
    found = taken(Kind.SNAPSHOT, 20, now=12 * DAY)

    assert found is not None
    assert (5 * DAY, 12 * DAY - HOUR) == (found.times[0], found.times[-1])


def test_a_golden_baseline_is_what_a_person_has_chosen() -> None:
    found = taken(Kind.GOLDEN, 2, now=100 * DAY)

    assert found is not None
    assert 48 == len(found.values)


@pytest.mark.parametrize(("good", "day"), [(Good.UP, 4), (Good.DOWN, 0)])
def test_the_peak_is_the_best_day(good: Good, day: int) -> None:
    found = taken(Kind.PEAK, 5, now=5 * DAY, good=good)

    assert found is not None
    assert (day * DAY, 24) == (found.times[0], len(found.values))


def test_a_peak_gives_way_to_a_better_day_only() -> None:
    times = hours(3)
    values = np.repeat([5.0, 9.0, 7.0], 24)
    first = take(POLICY, Baselines(), Kind.PEAK, times, values, 2 * DAY, Good.UP)
    second = take(POLICY, first, Kind.PEAK, times, values, 3 * DAY, Good.UP)
    values = np.repeat([5.0, 9.0, 11.0], 24)
    third = take(POLICY, second, Kind.PEAK, times, values, 3 * DAY, Good.UP)

    assert first is second
    newest = third.newest(Kind.PEAK)
    assert newest is not None
    assert (2, 2 * DAY) == (newest.version, newest.times[0])
    assert taken(Kind.PEAK, 5, now=5 * DAY) is None


def test_versions_are_bounded_and_numbers_go_on() -> None:
    kept = Baselines()
    times = hours(2)
    for i in range(8):
        kept = take(POLICY, kept, Kind.GOLDEN, times, times / HOUR, 3 * DAY + i)

    assert [4, 5, 6, 7, 8] == [each.version for each in kept.kinds[Kind.GOLDEN]]
    assert kept.newest(Kind.GOLDEN, version=2) is None


def test_too_few_values_are_no_baseline() -> None:
    few = np.full(30, np.nan)
    few[:19] = 1.0
    empty = Baselines()

    for kind in Kind:
        assert empty is take(POLICY, empty, kind, HOUR * np.arange(30), few, 100 * DAY, Good.UP)
        assert empty is take(POLICY, empty, kind, np.empty(0, np.int64), np.empty(0), 1)


@pytest.mark.parametrize("wrong", [{"span_ms": 0}, {"versions": 0}, {"least": 1}, {"most": 3}])
def test_policies_of_nothing_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        BaselinePolicy(**wrong)


def week(rng: np.random.Generator, level: float, begin: int, phi: float = 0.0) -> Floats:
    """Hourly values with days and weekends, and noise."""
    at = hours(7, begin) // HOUR
    noise = rng.normal(size=at.size)
    for i in range(1, at.size):
        noise[i] += phi * noise[i - 1]
    values: Floats = level + 20 * np.sin(2 * np.pi * at / 24) + 30 * ((at // 24) % 7 > 4) + noise
    return values


def beside(seed: int, shift: float = 0.0, phi: float = 0.0, days: int = 2) -> Aligned | None:
    rng = np.random.default_rng(seed)
    past = week(rng, 100.0, 0, phi)
    kept = take(POLICY, Baselines(), Kind.GOLDEN, hours(7), past, 7 * DAY)
    baseline = kept.newest(Kind.GOLDEN)
    assert baseline is not None
    now = week(rng, 100.0 + shift, 7 * DAY, phi)[: 24 * days]
    return aligned(baseline, hours(days, 7 * DAY), now)


def test_a_small_shift_shows_beside_the_same_hours() -> None:
    found = beside(1, shift=2.0)

    assert found is not None
    assert 48 == found.hours
    assert found.p < 1e-3
    assert found.difference.low < 2.0 < found.difference.high
    assert pytest.approx(found.after - found.before) == found.difference.value


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_without_a_shift_it_is_seen_as_seldom_as_is_said(phi: float) -> None:
    trials = 250
    found = [beside(seed, phi=phi) for seed in range(trials)]
    wrong = sum(each is not None and each.p < 0.05 for each in found)
    held = sum(
        each is not None and each.difference.low <= 0 <= each.difference.high for each in found
    )

    assert stats.binomtest(wrong, trials, 0.05, alternative="greater").pvalue > 0.01
    assert stats.binomtest(held, trials, 0.94, alternative="less").pvalue > 0.01


def test_independent_differences_are_tested_as_in_scipy() -> None:
    rng = np.random.default_rng(9)
    base = Baseline(
        kind=Kind.GOLDEN,
        version=1,
        taken_at=0,
        times=tuple(hours(7).tolist()),
        values=(0.0,) * 168,
    )
    apart = rng.normal(0.1, 1, 168)
    found = aligned(base, hours(7, 7 * DAY), apart)

    assert found is not None
    assert pytest.approx(stats.ttest_1samp(apart, 0).pvalue, abs=0.06) == found.t_p
    assert pytest.approx(stats.wilcoxon(apart).pvalue, abs=0.06) == found.wilcoxon_p
    assert found.relative is None


def test_hours_that_the_baseline_lacks_are_left_out() -> None:
    base = Baseline(
        kind=Kind.GOLDEN, version=1, taken_at=0, times=tuple(hours(1).tolist()), values=(1.0,) * 24
    )
    values = np.random.default_rng(1).normal(size=48)

    found = aligned(base, hours(2), values)
    assert found is not None
    assert 24 == found.hours
    assert aligned(base, hours(2, 3 * DAY), values) is None
    assert aligned(base, hours(1), np.ones(24)) is None

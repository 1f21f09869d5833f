from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from processors.stats.comparison import Comparison, compare

VALUES = st.lists(st.integers(0, 12), min_size=3, max_size=40)


def compared(stable: Sequence[float], candidate: Sequence[float]) -> Comparison | None:
    values = np.unique([*stable, *candidate])
    a, b = ((np.array(x)[:, None] == values).sum(axis=0) for x in (stable, candidate))
    return compare(values.astype(float), a.astype(float), b.astype(float))


@settings(max_examples=60)
@given(stable=VALUES, candidate=VALUES)
def test_the_tests_are_those_of_scipy_and_statsmodels(
    stable: list[int], candidate: list[int]
) -> None:
    found = compared(stable, candidate)
    if min(np.var(stable), np.var(candidate)) == 0.0:
        return
    assert found is not None
    low, high = CompareMeans(DescrStatsW(candidate), DescrStatsW(stable)).tconfint_diff(
        usevar="unequal"
    )

    assert pytest.approx((low, high)) == (found.difference.low, found.difference.high)
    assert (
        pytest.approx(stats.ttest_ind(candidate, stable, equal_var=False).pvalue) == found.welch_p
    )
    assert (
        pytest.approx(stats.mannwhitneyu(candidate, stable, method="asymptotic").pvalue)
        == found.mann_whitney_p
    )


def test_superiority_is_the_part_of_all_pairs_that_the_candidate_wins() -> None:
    stable, candidate = [1, 2, 2, 5], [2, 3, 5, 5, 7]
    pairs = [(b > a) + (b == a) / 2 for a in stable for b in candidate]
    found = compared(stable, candidate)

    assert found is not None
    assert pytest.approx(np.mean(pairs)) == found.superiority.value
    assert found.superiority.low < np.mean(pairs) < found.superiority.high <= 1.0


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_the_intervals_cover_what_they_estimate_as_often_as_they_say(shift: float) -> None:
    rng = np.random.default_rng(4)
    truth = {
        "difference": shift,
        "effect": shift,
        "superiority": float(stats.norm.cdf(shift / np.sqrt(2))),
    }
    covered = dict.fromkeys(truth, 0)
    trials = 800
    for _ in range(trials):
        both = np.concatenate((rng.normal(0, 1, 40), rng.normal(shift, 1, 60)))
        order = np.argsort(both)
        found = compare(both[order], (order < 40).astype(float), (order >= 40).astype(float))

        assert found is not None
        for name, value in truth.items():
            interval = getattr(found, name)
            covered[name] += interval.low <= value <= interval.high
    for count in covered.values():
        assert stats.binomtest(count, trials, 0.95).pvalue > 1e-3


@pytest.mark.parametrize(
    ("stable", "candidate"), [([1], [2, 3]), ([1, 2], [3]), ([4, 4], [4, 4, 4]), ([1, 1], [2, 2])]
)
def test_samples_that_cannot_be_compared_are_not(stable: list[int], candidate: list[int]) -> None:
    assert compared(stable, candidate) is None


@pytest.mark.parametrize("shape", ["normal", "heavy", "tied"])
def test_samples_of_one_kind_differ_as_seldom_as_is_said(shape: str) -> None:
    rng = np.random.default_rng(12)
    draw = {
        "normal": lambda n: rng.normal(0, 1, n),
        "heavy": lambda n: np.exp(rng.normal(0, 1, n)),
        "tied": lambda n: rng.integers(0, 4, n).astype(float),
    }[shape]
    trials, wrong = 800, {"welch_p": 0, "mann_whitney_p": 0}
    for _ in range(trials):
        found = compared(draw(40).tolist(), draw(60).tolist())

        assert found is not None
        for name in wrong:
            wrong[name] += getattr(found, name) < 0.05
    for count in wrong.values():
        assert stats.binomtest(count, trials, 0.05, alternative="greater").pvalue > 0.01

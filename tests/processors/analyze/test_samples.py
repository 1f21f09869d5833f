from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from processors.analyze.samples import Outcome, beside, inflated, one
from processors.analyze.several import benjamini_hochberg, holm
from processors.analyze.trend import Good

Floats = npt.NDArray[np.float64]


def ar(n: int, phi: float, rng: np.random.Generator) -> Floats:
    drawn = rng.normal(size=n)
    drawn[1:] *= math.sqrt(1 - phi * phi)
    for i in range(1, n):
        drawn[i] += phi * drawn[i - 1]
    return drawn


@pytest.mark.parametrize("seed", range(5))
def test_adjusted_p_values_are_those_of_statsmodels(seed: int) -> None:
    p = np.random.default_rng(seed).uniform(0, 0.2, 12).round(2)

    assert pytest.approx(multipletests(p, method="holm")[1]) == holm(p)
    assert pytest.approx(multipletests(p, method="fdr_bh")[1]) == benjamini_hochberg(p)
    assert 0 == holm(np.empty(0)).size == benjamini_hochberg(np.empty(0)).size


def test_the_false_of_all_tests_together_are_as_many_as_is_said() -> None:
    rng = np.random.default_rng(6)
    trials, true, false = 600, 12, 8
    any_wrong, parts = 0, []
    for _ in range(trials):
        p = np.concatenate((rng.uniform(size=true), rng.uniform(size=false) * 1e-3))
        any_wrong += bool((holm(p)[:true] < 0.05).any())
        found = benjamini_hochberg(p) < 0.2
        parts.append(found[:true].sum() / max(found.sum(), 1))

    assert stats.binomtest(any_wrong, trials, 0.05, alternative="greater").pvalue > 0.01
    assert 0.05 < float(np.mean(parts)) < 0.2


def test_independent_samples_are_compared_as_in_scipy() -> None:
    rng = np.random.default_rng(11)
    before, after = rng.normal(5, 1, 3_000), rng.normal(5.05, 1.5, 2_000)
    found = one("x", before, after)

    assert found is not None
    assert max(found.inflation) < 1.1
    expected = stats.ttest_ind(after, before, equal_var=False)
    assert pytest.approx(expected.pvalue, abs=0.03) == found.welch_p
    assert pytest.approx(stats.mannwhitneyu(after, before).pvalue, abs=0.03) == found.mann_whitney_p
    low, high = expected.confidence_interval()
    assert pytest.approx((low, high), abs=0.005) == found.difference[1:]


@pytest.mark.parametrize("shape", ["normal", "heavy"])
@pytest.mark.parametrize(("n", "phi"), [(20, 0.0), (30, 0.4), (200, 0.0), (200, 0.6)])
def test_samples_of_one_kind_differ_as_seldom_as_is_said(n: int, phi: float, shape: str) -> None:
    rng = np.random.default_rng(n)
    trials, wrong = 300, 0
    for _ in range(trials):
        pair = [ar(n, phi, rng) for _ in range(2)]
        if shape == "heavy":
            pair = [np.exp(x) for x in pair]
        found = one("x", pair[0], pair[1])

        assert found is not None
        wrong += found.p < 0.05

    assert stats.binomtest(wrong, trials, 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("phi", [0.0, 0.6])
def test_intervals_hold_what_they_are_of_as_often_as_they_say(phi: float) -> None:
    rng = np.random.default_rng(2)
    trials, superior = 300, float(stats.norm.cdf(0.5 / math.sqrt(2)))
    held = dict.fromkeys(("mean", "effect", "superiority", "median", "p95"), 0)
    for _ in range(trials):
        found = one("x", ar(150, phi, rng), 0.5 + ar(150, phi, rng))

        assert found is not None
        told = {
            "mean": (found.difference, 0.5),
            "effect": (found.effect, 0.5),
            "superiority": (found.superiority, superior),
            "median": (found.quantiles[0].difference, 0.5),
            "p95": (found.quantiles[1].difference, 0.5),
        }
        for name, (interval, truth) in told.items():
            held[name] += interval.low <= truth <= interval.high
    for count in held.values():
        assert stats.binomtest(count, trials, 0.93, alternative="less").pvalue > 0.01


def test_of_a_table_of_metrics_without_a_difference_one_differs_as_seldom_as_is_said() -> None:
    rng = np.random.default_rng(3)
    trials, wrong = 120, 0
    for _ in range(trials):
        found = beside({str(i): (ar(60, 0.4, rng), ar(60, 0.4, rng)) for i in range(8)}, {})
        wrong += min(each.adjusted_p for each in found) < 0.05

    assert stats.binomtest(wrong, trials, 0.05, alternative="greater").pvalue > 0.01


def test_outcomes_are_by_what_is_good_and_for_all_metrics_together() -> None:
    rng = np.random.default_rng(3)
    base = {name: rng.normal(100, 5, 200) for name in ("latency", "quality", "requests", "same")}
    after = {name: x + 10 * (name != "same") + rng.normal(0, 1, 200) for name, x in base.items()}
    noisy = {"noisy": (np.tile([-5.0, 7.0], 10), np.tile([6.0, -4.0, 1.5, 2.0], 5))}
    found = beside(
        {name: (base[name], after[name]) for name in base} | noisy,
        {"latency": Good.DOWN, "quality": Good.UP},
    )

    assert {
        "latency": Outcome.WORSE,
        "quality": Outcome.BETTER,
        "requests": Outcome.HIGHER,
        "same": Outcome.ALIKE,
        "noisy": Outcome.INCONCLUSIVE,
    } == {each.name: each.outcome for each in found}
    assert all(each.adjusted_p >= each.p for each in found)
    assert pytest.approx(0.1, abs=0.01) == found[0].relative


def test_a_tail_that_moves_shows_in_its_quantile() -> None:
    rng = np.random.default_rng(4)
    before = rng.normal(100, 5, 2_000)
    after = before + np.where(rng.random(2_000) < 0.08, 80.0, 0.0)
    found = one("latency", before, after)

    assert found is not None
    p50, p95, _ = found.quantiles
    assert p50.difference.low < 1.0
    assert p95.difference.low > 40.0


def test_correlated_values_are_worth_fewer() -> None:
    rng = np.random.default_rng(1)

    assert pytest.approx(1.0, abs=0.1) == inflated(rng.normal(size=5_000))
    assert pytest.approx(3.0, rel=0.15) == inflated(ar(5_000, 0.5, rng))


@pytest.mark.parametrize(
    ("before", "after"), [(np.arange(7.0), np.arange(9.0)), (np.ones(20), np.ones(20))]
)
def test_what_is_too_little_is_not_compared(before: Floats, after: Floats) -> None:
    assert [] == beside({"x": (before, after)}, {})

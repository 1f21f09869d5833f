from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from processors.detect.layout import NEVER
from processors.detect.past import (
    Floats,
    Past,
    Scales,
    badness,
    confidence,
    deviation,
    middle,
    natural,
    scaled,
    scales,
    sigma,
    summarize,
)
from processors.detect.policy import WATCHES, DetectPolicy, rung_of
from processors.detect.series import SeriesPolicy
from schemas.anomaly import Severity

EVERY = scales(WATCHES)
LATENCY, ERRORS, COST, QUALITY = (EVERY.at(np.array([i])) for i in range(4))
REQUESTS = EVERY.at(np.array([4]))
POLICY = DetectPolicy()
VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=60)


def severity_of(policy: DetectPolicy, sigmas: float) -> Severity | None:
    rung = int(rung_of(policy, one(sigmas))[0])
    return None if rung == NEVER else tuple(Severity)[rung]


def one(*values: float) -> Floats:
    return np.array(values)


def past(scale: Scales, values: list[float], weight: float) -> Past:
    return summarize(scale, np.array([values]), one(weight), np.array([len(values)]))


def away(scale: Scales, before: Past, value: float, weight: float) -> float:
    sigmas = sigma(scale, before, one(weight), one(0.0))
    return float(deviation(before, scaled(scale, one(value)), sigmas, POLICY.cap)[0])


@given(VALUES)
def test_the_spread_is_the_mad_of_scipy_but_never_below_the_floor(values: list[float]) -> None:
    found = past(QUALITY, values, 100)
    mad = float(stats.median_abs_deviation(values)) * 1.4826

    assert pytest.approx(np.median(values)) == found.center[0]
    assert pytest.approx(max(mad, 1.0)) == found.spread[0]


@given(VALUES, st.integers(0, 20))
def test_the_median_is_that_of_numpy_over_what_is_there(values: list[float], more: int) -> None:
    table = np.array([[*[9e9] * more, *values]])
    there = np.arange(table.shape[1])[None] >= more

    assert pytest.approx(np.median(values)) == middle(table, there, np.array([len(values)]))[0]


def test_nothing_has_the_median_zero() -> None:
    nothing = middle(np.ones((1, 5)), np.zeros((1, 5), np.bool_), np.array([0]))

    assert 0.0 == nothing[0]


def test_each_series_is_summed_up_as_if_it_were_alone() -> None:
    rng, counts = np.random.default_rng(0), np.array([0, 1, 2, 59, 60])
    values, weights = rng.normal(size=(5, 60)), rng.uniform(1, 99, 5)
    scale = EVERY.at(np.array([3, 0, 1, 2, 3]))
    together = summarize(scale, values, weights, counts)
    for i in range(5):
        at = np.array([i])
        alone = summarize(Scales(*(e[at] for e in scale)), values[at], weights[at], counts[at])

        assert [e[0] for e in alone] == [e[i] for e in together]


def test_a_constant_past_still_has_a_spread() -> None:
    before = past(COST, [float(scaled(COST, one(0.0))[0])] * 30, 100)

    assert POLICY.cap == away(COST, before, 1.0, 100)


@given(st.floats(1.0, 1e6))
def test_twice_as_slow_is_as_far_as_twice_as_fast(value: float) -> None:
    before = past(LATENCY, [float(scaled(LATENCY, one(value))[0])] * 30, 100)
    slow, fast = (away(LATENCY, before, value * factor, 100) for factor in (2.0, 0.5))

    assert pytest.approx(-fast) == slow
    assert pytest.approx(value) == natural(LATENCY, before.center)[0]


@given(st.integers(1, 100_000))
def test_a_number_of_requests_is_judged_by_its_root(count: int) -> None:
    x = scaled(REQUESTS, one(count))
    before = past(REQUESTS, [float(x[0])] * 30, 1.0)

    assert pytest.approx(np.sqrt(count)) == x[0]
    assert pytest.approx(count) == natural(REQUESTS, x)[0]
    assert 0.0 == natural(REQUESTS, -x)[0]
    assert pytest.approx(2.0) == away(REQUESTS, before, (x[0] + 2.0) ** 2, 1.0)


def test_what_the_time_of_the_day_leads_to_expect_is_no_deviation() -> None:
    before = past(QUALITY, [90.0] * 30, 100)._replace(center=one(85.0), slack=one(5.0))

    assert [0.0, 0.0, -3.0] == [away(QUALITY, before, value, 100) for value in (90.0, 80.0, 77.0)]


def test_one_error_of_few_requests_is_no_news() -> None:
    before = past(ERRORS, [0.0] * 60, 20)

    assert severity_of(POLICY, away(ERRORS, before, 1 / 20, 20)) is None
    assert severity_of(POLICY, away(ERRORS, before, 60 / 600, 600)) is not None


def test_a_thin_window_is_expected_to_be_noisier() -> None:
    before = past(LATENCY, [100.0, 110.0, 90.0] * 20, 400)
    thin, usual, thick = (
        float(sigma(LATENCY, before, one(n), one(0.0))[0]) for n in (100.0, 400.0, 4000.0)
    )

    assert (pytest.approx(2 * usual), usual) == (thin, thick)


def test_no_window_is_less_noisy_than_its_own_values() -> None:
    before = past(LATENCY, [100.0, 110.0, 90.0] * 20, 400)

    assert 50.0 == sigma(LATENCY, before, one(400.0), one(50.0))[0]


def test_which_side_is_bad_is_the_watch_s_to_say() -> None:
    both = QUALITY._replace(sign=one(0.0))
    found = [float(badness(scale, one(-3.0))[0]) for scale in (LATENCY, QUALITY, both)]

    assert [-3.0, 3.0, 3.0] == found


@pytest.mark.parametrize("z", [2.0, 4.0, 9.0])
def test_confidence_holds_for_any_shape_with_one_peak(z: float) -> None:
    shapes = [stats.norm, stats.laplace, stats.uniform, stats.t(df=3), stats.logistic]
    tails = [2 * shape.sf(shape.mean() + z * shape.std()) for shape in shapes]

    assert all(confidence(z) <= 1 - tail + 1e-12 for tail in tails)


def test_no_deviation_gives_no_confidence() -> None:
    assert 0.0 == confidence(0.0)


@pytest.mark.parametrize("rung", range(4))
def test_severity_climbs_the_ladder(rung: int) -> None:
    reached = [severity_of(POLICY, POLICY.ladder[rung] + by) for by in (-0.01, 0.0, 0.01)]
    below = None if rung == 0 else tuple(Severity)[rung - 1]

    assert [below, tuple(Severity)[rung], tuple(Severity)[rung]] == reached


def test_the_better_side_has_no_severity() -> None:
    assert severity_of(POLICY, -20.0) is None


@pytest.mark.parametrize(("sensitivity", "factor"), [(0.0, 2.0), (0.5, 1.0), (1.0, 0.5)])
def test_sensitivity_moves_the_ladder_and_the_ensemble(sensitivity: float, factor: float) -> None:
    policy = DetectPolicy(sensitivity=sensitivity)
    scores = (policy.first_score, policy.second_score)

    assert pytest.approx([factor * rung for rung in POLICY.ladder]) == policy.rungs
    assert pytest.approx([factor * score for score in POLICY.scores]) == scores


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"ladder": (4.0, 6.0)}, "four rising numbers"),
        ({"ladder": (4.0, 4.0, 5.0, 6.0)}, "four rising numbers"),
        ({"ladder": (-1.0, 4.0, 5.0, 6.0)}, "above 0"),
        ({"cap": 1.0}, "cap above"),
        ({"minimum": 1}, "at least 2"),
        ({"history": 10}, "at most history"),
        ({"history": 61}, "at most 60"),
        ({"sensitivity": 1.1}, "between 0 and 1"),
        ({"daily": -0.1}, "between 0 and 1"),
        ({"memory_ms": 960_000}, "at most 900000"),
        ({"ensemble": SeriesPolicy()}, "16 places"),
        ({"scores": (9.0, 8.0)}, "do not fall"),
        ({"half": 0.0}, "half must be above 0"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        DetectPolicy(**wrong)  # type: ignore[arg-type]  # each wrong on purpose

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from processors.detect.past import confidence, deviation, middle, natural, scaled, sigma, summarize
from processors.detect.policy import WATCHES, DetectPolicy, severity_of
from schemas.anomaly import Severity

LATENCY, ERRORS, COST, QUALITY = WATCHES
POLICY = DetectPolicy()
VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=60)


@given(VALUES)
def test_the_spread_is_the_mad_of_scipy_but_never_below_the_floor(values: list[float]) -> None:
    past = summarize(QUALITY, values, [100] * len(values))
    mad = float(stats.median_abs_deviation(values)) * 1.4826

    assert pytest.approx(np.median(values)) == past.median
    assert pytest.approx(max(mad, 1.0)) == past.spread


@given(VALUES)
def test_the_median_is_that_of_numpy(values: list[float]) -> None:
    assert pytest.approx(np.median(values)) == middle(values)


def test_a_constant_past_still_has_a_spread() -> None:
    past = summarize(COST, [scaled(COST, 0.0)] * 30, [100] * 30)

    assert POLICY.cap == deviation(POLICY, COST, past, scaled(COST, 1.0), 100)


@given(st.floats(1.0, 1e6))
def test_twice_as_slow_is_as_far_as_twice_as_fast(value: float) -> None:
    past = summarize(LATENCY, [scaled(LATENCY, value)] * 30, [100] * 30)
    slow, fast = (
        deviation(POLICY, LATENCY, past, scaled(LATENCY, value * factor), 100)
        for factor in (2.0, 0.5)
    )

    assert pytest.approx(-fast) == slow
    assert pytest.approx(value) == natural(LATENCY, past.median)


def test_one_error_of_few_requests_is_no_news() -> None:
    past = summarize(ERRORS, [0.0] * 60, [20] * 60)

    assert severity_of(POLICY, deviation(POLICY, ERRORS, past, 1 / 20, 20)) is None
    assert severity_of(POLICY, deviation(POLICY, ERRORS, past, 30 / 600, 600)) is not None


def test_a_thin_window_is_expected_to_be_noisier() -> None:
    past = summarize(LATENCY, [100.0, 110.0, 90.0] * 20, [400] * 60)

    assert pytest.approx(2 * sigma(LATENCY, past, 400)) == sigma(LATENCY, past, 100)
    assert sigma(LATENCY, past, 400) == sigma(LATENCY, past, 4000)


@pytest.mark.parametrize("z", [2.0, 4.0, 9.0])
def test_confidence_holds_for_any_shape_with_one_peak(z: float) -> None:
    shapes = [stats.norm, stats.laplace, stats.uniform, stats.t(df=3), stats.logistic]
    tails = [2 * shape.sf(shape.mean() + z * shape.std()) for shape in shapes]

    assert all(confidence(z) <= 1 - tail + 1e-12 for tail in tails)


def test_no_deviation_gives_no_confidence() -> None:
    assert 0.0 == confidence(0.0)


@pytest.mark.parametrize(
    ("sigmas", "severity"),
    [
        (-20.0, None),
        (3.99, None),
        (4.0, Severity.LOW),
        (6.0, Severity.MEDIUM),
        (9.0, Severity.HIGH),
        (50.0, Severity.CRITICAL),
    ],
)
def test_severity_climbs_the_ladder(sigmas: float, severity: Severity | None) -> None:
    assert severity is severity_of(POLICY, sigmas)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"ladder": (4.0, 6.0)}, "four rising numbers"),
        ({"ladder": (4.0, 4.0, 5.0, 6.0)}, "four rising numbers"),
        ({"ladder": (-1.0, 4.0, 5.0, 6.0)}, "above 0"),
        ({"cap": 1.0}, "cap above"),
        ({"minimum": 1}, "at least 2"),
        ({"history": 10}, "at most history"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        DetectPolicy(**wrong)  # type: ignore[arg-type]  # each wrong on purpose

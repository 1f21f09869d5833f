"""What the ensemble tells where the robust z is silent."""

from __future__ import annotations

import numpy as np
import pytest

from processors.detect import DetectPolicy, DetectState
from processors.detect.judge import heard
from schemas.anomaly import Severity
from schemas.window import EnrichedWindow
from tests.processors.detect.watching import POLICY, even, minute, run

NEW = 83.5  # points: below all that were seen, and within what the robust z allows
AT = 600  # minutes


@pytest.fixture(scope="module")
def seen() -> DetectState:
    """A scope whose quality has never strayed far."""
    state, told = run(even(AT, seed=1))
    assert not told
    return state


def odd(quality: float = NEW, revision: int = 1) -> EnrichedWindow:
    return minute(AT, quality=quality, scores=100, revision=revision)


def test_a_value_unlike_all_others_is_told_though_the_robust_z_allows_it(
    seen: DetectState,
) -> None:
    _, (anomaly,) = run([odd()], state=seen)

    assert ("quality", "ensemble", True) == (anomaly.metric, anomaly.detector, anomaly.is_anomaly)
    assert -POLICY.rungs[0] < anomaly.deviation < -POLICY.heard
    assert Severity.LOW is anomaly.severity
    assert 0.99 < anomaly.confidence < 1.0


def test_the_expected_range_ends_where_the_ensemble_begins_to_tell(seen: DetectState) -> None:
    _, (anomaly,) = run([odd()], state=seen)
    low = anomaly.expected_low
    inside, outside = (run([odd(low + by)], state=seen)[1] for by in (0.02, -0.02))

    assert NEW < low < 90.0
    assert ([], 1) == (inside, len(outside))


@pytest.mark.parametrize("sensitivity", [0.0, 0.5, 1.0])
def test_a_more_sensitive_policy_tells_what_a_less_sensitive_one_tells(
    seen: DetectState, sensitivity: float
) -> None:
    _, anomalies = run([odd()], DetectPolicy(sensitivity=sensitivity), seen)

    assert (sensitivity > 0) == bool(anomalies)


def test_a_revision_is_judged_by_the_same_end_of_the_range(seen: DetectState) -> None:
    state, (first,) = run([odd()], state=seen)
    edge = first.expected_low
    _, still = run([odd(edge - 0.02, 2)], state=state)
    _, gone = run([odd(edge + 0.02, 2)], state=state)

    assert [("ensemble", True, 2)] == [(a.detector, a.is_anomaly, a.revision) for a in still]
    assert [("ensemble", False, 2)] == [(a.detector, a.is_anomaly, a.revision) for a in gone]
    assert {first.incident} == {a.incident for a in (*still, *gone)}


def test_a_revision_that_is_far_out_is_told_by_the_robust_z(seen: DetectState) -> None:
    state, _ = run([odd()], state=seen)
    _, (worse,) = run([odd(60.0, 2)], state=state)

    assert ("robust_z", Severity.CRITICAL) == (worse.detector, worse.severity)


def test_what_is_new_and_good_is_no_alarm(seen: DetectState) -> None:
    assert [] == run([odd(96.5)], state=seen)[1]


def test_the_ensemble_is_not_heard_before_it_has_seen_enough() -> None:
    rows = [*even(60), minute(60, quality=84.5, scores=100)]

    assert [] == run(rows)[1]


def test_what_is_beyond_doubt_is_of_medium_severity() -> None:
    first, second = POLICY.scores

    assert [-1, 0, 1, 1] == heard(POLICY, np.array([0.0, first, second, 24.0])).tolist()

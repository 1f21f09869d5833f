"""What the ensemble tells where the robust z is silent."""

from __future__ import annotations

import numpy as np
import pytest

from processors.detect import DetectPolicy
from processors.detect.judge import heard
from schemas.anomaly import Severity
from schemas.window import EnrichedWindow
from tests.processors.detect.watching import POLICY, even, minute, run

NEW = 84.5  # points: below all that were seen, and within what the robust z allows


def odd(n: int, quality: float = NEW, **more: object) -> EnrichedWindow:
    return minute(n, quality=quality, scores=100, **more)  # type: ignore[arg-type]  # its fields


def test_a_value_unlike_all_others_is_told_though_the_robust_z_allows_it() -> None:
    _, (anomaly,) = run([*even(300), odd(300)])

    assert ("quality", "ensemble", True) == (anomaly.metric, anomaly.detector, anomaly.is_anomaly)
    assert -POLICY.rungs[0] < anomaly.deviation < -POLICY.heard
    assert anomaly.severity in (Severity.LOW, Severity.MEDIUM)
    assert 0.99 < anomaly.confidence < 1.0


def test_the_expected_range_ends_where_the_ensemble_begins_to_tell() -> None:
    state, before = run(even(300))
    _, (anomaly,) = run([odd(300)], state=state)
    low = anomaly.expected_low
    inside, outside = (run([odd(300, low + by)], state=state)[1] for by in (0.02, -0.02))

    assert [] == before
    assert NEW < low < 90.0
    assert ([], 1) == (inside, len(outside))


@pytest.mark.parametrize("sensitivity", [0.0, 0.5, 1.0])
def test_a_more_sensitive_policy_tells_what_a_less_sensitive_one_tells(sensitivity: float) -> None:
    _, anomalies = run([*even(300), odd(300)], DetectPolicy(sensitivity=sensitivity))
    told = [a for a in anomalies if a.start == 300 * 60_000]

    assert (sensitivity > 0) == bool(told)


def test_a_revision_is_judged_by_the_same_end_of_the_range() -> None:
    state, (first,) = run([*even(300), odd(300)])
    edge = first.expected_low
    _, still = run([odd(300, edge - 0.02, revision=2)], state=state)
    _, gone = run([odd(300, edge + 0.02, revision=2)], state=state)

    assert [("ensemble", True, 2)] == [(a.detector, a.is_anomaly, a.revision) for a in still]
    assert [("ensemble", False, 2)] == [(a.detector, a.is_anomaly, a.revision) for a in gone]
    assert {first.incident} == {a.incident for a in (*still, *gone)}


def test_a_revision_that_is_far_out_is_told_by_the_robust_z() -> None:
    state, _ = run([*even(300), odd(300)])
    _, (worse,) = run([odd(300, 60.0, revision=2)], state=state)

    assert ("robust_z", Severity.CRITICAL) == (worse.detector, worse.severity)


def test_what_is_new_and_good_is_no_alarm() -> None:
    assert [] == run([*even(300), odd(300, 96.5)])[1]


def test_the_ensemble_is_not_heard_before_it_has_seen_enough() -> None:
    assert [] == run([*even(60), odd(60)])[1]


def test_what_is_beyond_doubt_is_of_medium_severity() -> None:
    first, second = POLICY.scores

    assert [-1, 0, 1, 1] == heard(POLICY, np.array([0.0, first, second, 24.0])).tolist()

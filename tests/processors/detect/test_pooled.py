"""What several minutes tell together, of which none would have been told by itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from processors.detect import DetectPolicy
from processors.detect.layout import blank, opened
from processors.detect.past import scales
from processors.detect.policy import WATCHES
from processors.detect.pooled import together
from schemas.anomaly import Anomaly
from schemas.conditions import JUDGED
from schemas.rollout import Phase
from schemas.window import MINUTE, EnrichedWindow
from tests.processors.detect.watching import POLICY, minute, run

SERIES, MINUTES = 400, 15
UP = scales(WATCHES).at(np.zeros(SERIES, np.int64))  # latency: up is bad
BOTH = scales(WATCHES).at(np.full(SERIES, 4))  # requests


def traffic(count: int, begin: int = 0, seed: int = 0, **faults: float) -> list[EnrichedWindow]:
    """Minutes of traffic that is as uneven as it is; *faults* are factors of what `minute` takes.

    With `growth` latency grows by that share of what it was, every minute.
    """
    rng, found = np.random.default_rng((seed, begin)), []
    growth = faults.pop("growth", 0.0)
    for n in range(count):
        values = {
            "latency": 1_000 * rng.lognormal(0, 0.2) * (1 + growth * n),
            "median": 300 * rng.lognormal(0, 0.1),
            "first": 100 * rng.lognormal(0, 0.05),
            "cached": 0.15 * rng.lognormal(0, 0.1),
            "requests": rng.poisson(200 * rng.gamma(4, 1 / 4)) + 20,
            "cost": 0.01 * rng.lognormal(0, 0.15),
            "quality": 90 + rng.normal(0, 1.5),
        }
        changed: dict[str, Any] = {k: float(v) * faults.get(k, 1.0) for k, v in values.items()}
        changed["requests"] = int(changed["requests"])
        found.append(minute(begin + n, errors=0, **changed))
    return found


def told(rows: list[EnrichedWindow], policy: DetectPolicy = POLICY) -> list[Anomaly]:
    """What is said of *rows* after an hour and a half of healthy traffic."""
    return [each for each in run([*traffic(90), *rows], policy)[1] if each.start >= 90 * MINUTE]


@pytest.mark.parametrize(
    ("fault", "metric"),
    [
        ({"requests": 10.0}, "requests"),
        ({"requests": 0.05}, "requests"),
        ({"median": 3.0}, "p50_latency_ms"),
        ({"latency": 4.0}, "p95_latency_ms"),
        ({"growth": 0.1}, "p95_latency_ms"),
        ({"first": 1.4}, "p95_ttft_ms"),
        ({"cached": 0.4}, "cached_share"),
        ({"cost": 1.5}, "cost_per_request_usd"),
        ({"quality": 0.95}, "quality"),
    ],
    ids=["surge", "drop", "stuck", "slow", "drift", "first", "cache", "cost", "quality"],
)
def test_what_lasts_is_told_within_a_quarter_of_an_hour(
    fault: dict[str, float], metric: str
) -> None:
    found = told(traffic(MINUTES, 90, **fault))

    assert metric in {each.metric for each in found}
    assert {metric} == {each.metric for each in found}


def test_a_slowness_that_no_minute_shows_is_told_by_several() -> None:
    found = told(traffic(MINUTES, 90, latency=1.7))
    alone = told(traffic(MINUTES, 90, latency=1.7), replace(POLICY, shared=1e6))

    assert [] == alone
    assert ("p95_latency_ms", "several_minutes") == (found[0].metric, found[0].detector)
    assert POLICY.heard <= found[0].deviation < POLICY.rungs[0]
    assert found[0].actual > found[0].expected_high > found[0].expected
    assert 0.95 < found[0].confidence < 1.0


def test_a_revision_keeps_what_several_minutes_told_and_withdraws_it_of_a_usual_value() -> None:
    rows = [*traffic(90), *traffic(MINUTES, 90, latency=1.7)]
    _, found = run(rows)
    at = found[0].start // MINUTE
    upto, _ = run(rows[: at + 1])
    again = replace(rows[at], window=replace(rows[at].window, revision=2))
    usual = minute(at, latency=1_000.0, revision=2)
    (same,) = run([again], state=upto)[1]
    (gone,) = run([usual], state=upto)[1]

    assert (True, "several_minutes", found[0].severity) == (
        same.is_anomaly,
        same.detector,
        same.severity,
    )
    assert not gone.is_anomaly


def test_healthy_traffic_tells_next_to_nothing() -> None:
    found = [a for seed in range(4) for a in run(traffic(720, seed=seed))[1]]

    assert len(found) <= 1  # of two days


def evidence(z: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    """Rows that have judged all but the last column of *z*, one a minute."""
    rows, minutes = opened([blank(len(z))]), z.shape[1]
    for at in range(max(minutes - 1 - 15, 0), minutes - 1):
        slot = rows["judged"][:, 15 - (minutes - 1 - at)]
        slot["minute"], slot["z"] = at, z[:, at]
    return rows


@pytest.mark.parametrize(("memory", "times"), [(0.0, 1), (0.5, 7)])
@pytest.mark.parametrize("scale", [UP, BOTH], ids=["up", "both"])
def test_sums_of_noise_reach_a_rung_no_more_often_than_its_values_but_where_it_lingers(
    scale: Any, memory: float, times: int
) -> None:
    rng, minutes, rung = np.random.default_rng(1), 120, 3.5
    noise = rng.normal(size=(SERIES, minutes))
    for at in range(1, minutes):
        noise[:, at] = memory * noise[:, at - 1] + np.sqrt(1 - memory**2) * noise[:, at]
    policy = replace(POLICY, ladder=(rung, 7.0, 10.0, 15.0))
    reached = 0
    for at in range(20, minutes):
        starts = np.full(SERIES, (at - 1) * MINUTE)
        found = together(policy, scale, evidence(noise[:, :at]), starts, noise[:, at - 1])
        reached += int((found.sums > 0).sum())
    by_itself = 2.3e-4 * (2 if scale is BOTH else 1)  # of a normal value, 3.5 σ out

    assert reached / SERIES / (minutes - 20) <= times * by_itself


def one(*z: float) -> Any:
    rows = evidence(np.array([z]))
    at = np.zeros(1, np.int64)
    return rows, scales(WATCHES).at(at), np.array([(len(z) - 1) * MINUTE]), np.array(z[-1:])


def sums(*z: float, spoken: int | None = None, skipped: int = 0) -> float:
    rows, scale, starts, newest = one(*z)
    if spoken is not None:
        rows["spoken"] = spoken
    return float(together(POLICY, scale, rows, starts + skipped * MINUTE, newest).sums[0])


def test_a_sum_needs_values_that_are_recent_and_not_told_before() -> None:
    high = [3.9] * 4

    assert sums(*high) > POLICY.rungs[0]
    assert 0.0 == sums(*high[:2])
    assert 0.0 == sums(*high, spoken=1)
    assert 0.0 == sums(*high, skipped=15)
    assert 0.0 == sums(3.9, float("nan"), float("nan"), 3.9)


def test_what_is_over_is_not_told() -> None:
    assert 0.0 == sums(*[4.0] * 14, 1.9)
    assert sums(*[4.0] * 14, 2.1) > POLICY.rungs[0]


def test_the_better_side_makes_no_sum() -> None:
    assert 0.0 == sums(*[-4.0] * 10)


def test_errors_that_come_in_sessions_are_not_added_up() -> None:
    rows = [minute(90 + n, errors=4, latency=1_000.0, first=100.0) for n in range(5)]
    every = replace(POLICY, watches=tuple(replace(watch, summed=True) for watch in WATCHES))
    summed, not_ = ({a.metric for a in told(rows, policy)} for policy in (every, POLICY))

    assert {"error_rate"} == summed - not_


def test_a_quiet_policy_asks_for_more() -> None:
    rows, scale, starts, newest = one(*[3.9] * 6)
    quiet = replace(POLICY, sensitivity=0.0)

    assert [True, False] == [
        bool(together(policy, scale, rows, starts, newest).sums[0]) for policy in (POLICY, quiet)
    ]


def test_minutes_after_a_move_of_the_optimizer_are_no_evidence(records: ModuleType) -> None:
    moved = records.deployment(phase=Phase.RAMPING, at=90 * MINUTE)
    after = 90 + POLICY.settle_ms // MINUTE
    rows = [*traffic(after - 90, 90, latency=1.7), *traffic(1, after, latency=1.3)]
    found = [a for a in run([*traffic(90), moved, *rows])[1] if a.start >= after * MINUTE]

    assert [] == found


def test_what_was_told_is_not_added_up_again() -> None:
    rows = [minute(90 + n, latency=2_600.0, errors=0) for n in range(12)]
    starts = [a.start // MINUTE for a in told(rows, replace(POLICY, quiet_ms=0))]

    assert 2 <= len(starts)
    assert all(b - a >= POLICY.least for a, b in pairwise(starts))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"spans": ()}, "2 to 15 minutes"),
        ({"spans": (3, 16)}, "2 to 15 minutes"),
        ({"shared": -0.1}, "shared must not"),
        ({"looks": 0.9}, "looks not below 1"),
        ({"least": 1}, "least not below 2"),
    ],
)
def test_sums_that_cannot_work_are_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        DetectPolicy(**wrong)


def test_a_rule_can_ask_for_every_metric_that_is_watched() -> None:
    assert JUDGED == tuple(str(watch.metric) for watch in WATCHES)

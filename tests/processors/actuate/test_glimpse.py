from __future__ import annotations

import math
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats

from processors.actuate.critical import CHANCE, SIGMAS
from processors.actuate.glimpse import RARELY
from processors.actuate.guardrails import errors
from processors.actuate.guardrails.arms import Arm
from processors.actuate.guardrails.reading import Levels
from processors.actuate.judge import WEIGHTS
from processors.actuate.policy import ActuatePolicy
from schemas.catalog import Strategy
from schemas.rollout import Phase, Verdict
from schemas.scope import BUCKETS
from tests.processors.actuate.triggering import reports

MINUTE = 60_000
LOOKS = 6  # of a minute, its end the last one


def opened(play: Any, seconds: int, **candidate: float) -> list[Any]:
    """What a look into the open minute shows after so many *seconds* of it."""
    found = []
    for row in play.rows(play.clock, 4000 * seconds // 60, **candidate):
        window = replace(row.window, closed=False, revision=0)
        found.append(replace(row, window=replace(window, watermark=window.start + seconds * 1_000)))
    return found


@pytest.fixture
def play(world: ModuleType) -> Any:
    """A rollout at 5 % that has been healthy for four minutes."""
    made = world.Play(policy=ActuatePolicy(catalog=world.CATALOG, critical_requests=10_000))
    made.start()
    made.minutes(4)
    return made


def test_a_candidate_whose_errors_prove_it_worse_goes_within_its_minute(play: Any) -> None:
    healthy = play.feed(*opened(play, 10))
    play.feed(*opened(play, 20, error_rate=0.3))

    assert [] == healthy
    assert (Phase.ROLLED_BACK, Verdict.FAIL, play.clock + 20_000) == (
        play.last.phase,
        play.last.verdict,
        play.last.at,
    )
    assert play.last.reason.startswith("Worse in errors, within the minute: The candidate's error")
    assert ["errors"] == [each.metric for each in play.last.guardrails]
    assert (None, None) == (play.config.split, play.config.candidate)


def test_one_that_fails_outright_goes_without_waiting_for_the_share_to_settle(
    world: ModuleType,
) -> None:
    play = world.Play()
    play.start()
    play.minutes(1)
    play.feed(*opened(play, 30, error_rate=0.6))

    assert Phase.ROLLED_BACK is play.last.phase
    assert play.last.reason.startswith("Critical: 60 of 100 requests")


def test_a_rollback_in_the_first_minute_reports_what_the_minute_has_so_far(
    world: ModuleType,
) -> None:
    play = world.Play()
    play.start()
    play.feed(*opened(play, 30, error_rate=0.6))
    (report,) = reports(play)

    assert ("trigger", "critical") == (report.cause, report.trigger)
    assert (100, 60, 100) == (report.requests, report.failed, report.affected)
    assert (play.clock, 30.0) == (report.first_bad_at, report.seconds)


def test_a_guardrail_that_fails_within_a_minute_reports_from_its_evidence_on(play: Any) -> None:
    play.feed(*opened(play, 20, error_rate=0.3))
    (report,) = reports(play)

    assert ("guardrail", None) == (report.cause, report.trigger)
    assert (866, 20, 66) == (report.requests, report.failed, report.affected)
    assert (play.clock, 20.0) == (report.first_bad_at, report.seconds)


def test_a_share_that_has_not_settled_is_not_judged_by_its_errors(world: ModuleType) -> None:
    play = world.Play(policy=ActuatePolicy(catalog=world.CATALOG, critical_requests=10_000))
    play.start()

    assert [] == play.feed(*opened(play, 30, error_rate=0.6))


def test_a_look_keeps_nothing_and_the_minute_is_judged_whole(play: Any) -> None:
    before = play.state
    for seconds in (10, 20, 30, 40, 50):
        play.feed(*opened(play, seconds, error_rate=0.0))
        assert before is play.state
    play.minutes(1)
    rollout = play.entry.rollout

    assert (4, 0) == (rollout.evidence.minutes, len(play.entry.rows))


def test_looks_change_nothing_of_what_the_ends_of_minutes_decide(world: ModuleType) -> None:
    with_looks, without = world.Play(), world.Play()
    for play in (with_looks, without):
        play.start()
    for _ in range(20):
        for seconds in (10, 30, 50):
            with_looks.feed(*opened(with_looks, seconds, latency=420.0))
        for play in (with_looks, without):
            play.minutes(1, latency=420.0)

    assert without.emits == with_looks.emits
    assert without.state == with_looks.state


@pytest.mark.parametrize("batched", [True, False])
def test_how_a_look_is_batched_changes_nothing(play: Any, *, batched: bool) -> None:
    rows = opened(play, 20, error_rate=0.3)
    for batch in [rows] if batched else [[row] for row in rows]:
        play.feed(*batch)

    assert Phase.ROLLED_BACK is play.last.phase


def test_a_paused_rollout_is_taken_back_too(world: ModuleType, play: Any) -> None:
    play.feed(world.command("pause"))
    play.feed(*opened(play, 20, error_rate=0.3))

    assert (Phase.PAUSED, Phase.ROLLED_BACK) == (play.last.previous, play.last.phase)


def test_errors_of_nameless_units_wait_for_the_end_of_the_minute(play: Any) -> None:
    rows = [
        replace(row, window=replace(row.window, error_units=()))
        for row in opened(play, 20, error_rate=0.3)
    ]

    assert [] == play.feed(*rows)


def test_rows_of_other_configs_and_of_closed_minutes_are_passed_over(play: Any) -> None:
    rows = opened(play, 20, error_rate=0.3)
    others = [
        replace(row, window=replace(row.window, config_version="v-else"))
        if row.window.cohort != "*"
        else row
        for row in rows
    ]
    old = [
        replace(row, window=replace(row.window, start=row.window.start - MINUTE)) for row in rows
    ]

    assert [] == play.feed(*others)
    assert [] == play.feed(*old)


def test_a_scope_without_a_rollout_keeps_nothing_of_a_look(world: ModuleType) -> None:
    play = world.Play()
    play.past()
    before = play.state
    play.feed(*opened(play, 20))

    assert before is play.state


def test_a_rollout_whose_ladder_is_gone_ends_with_its_minute(world: ModuleType, play: Any) -> None:
    play.policy = ActuatePolicy(catalog=replace(world.CATALOG, strategies={}))

    assert [] == play.feed(*opened(play, 20, error_rate=0.3))
    play.minutes(1)
    assert "is no longer in the catalog" in play.last.reason


def test_looking_within_minutes_keeps_the_level() -> None:
    """Calibration: identical arms at 5 %, six looks a minute, for an hour."""
    alpha, share, minutes, runs = Strategy(name="any", steps=()).alpha / 4, 500, 60, 200
    limit, wrong = -math.log(alpha), 0
    for seed in range(runs):
        chance = np.random.default_rng(seed)
        evidence = errors.Errors()
        for _ in range(minutes):
            units = chance.integers(0, BUCKETS, chance.poisson(30))
            times = np.sort(chance.random(len(units)))
            found = evidence
            for look in range(1, LOOKS + 1):
                seen = units[times <= look / LOOKS].tolist()
                inside = frozenset(unit for unit in seen if unit < share)
                outside = frozenset(seen) - inside
                found = errors.observe(
                    evidence,
                    Arm(requests=475 * look, errors=len(outside), units=outside),
                    Arm(requests=25 * look, errors=len(inside), units=inside),
                    share,
                )
                if errors.read(found, Levels(alpha, alpha)).log_e >= limit:
                    break
            else:
                evidence = found
                continue
            wrong += 1
            break

    assert stats.binomtest(wrong, runs, alpha, alternative="greater").pvalue > 1e-3


def test_looks_of_a_minute_cost_half_of_what_its_end_does() -> None:
    assert 0.5 == pytest.approx((LOOKS - 1) * RARELY / CHANCE)


def test_the_parts_of_the_level_add_up_to_it_at_most() -> None:
    """The guardrails, and a day of critical minutes, looks and two automatic triggers."""
    triggers = 1_440 * (CHANCE + (LOOKS - 1) * RARELY + 2 * CHANCE)
    alpha = Strategy(name="any", steps=()).alpha

    assert alpha >= sum(WEIGHTS.values()) * alpha + triggers
    assert stats.norm.sf(SIGMAS) == pytest.approx(CHANCE, rel=0.03)

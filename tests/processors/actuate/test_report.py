"""What is told of a rollback when it is over, and of one that is only rehearsed."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from schemas.decision import Action
from schemas.report import RollbackReport
from schemas.rollout import Phase, Verdict
from schemas.window import MINUTE
from tests.processors.actuate.triggering import ERRORS, SLOW, having, promoted, reports


def only(play: Any) -> RollbackReport:
    (report,) = reports(play)
    return report


def test_a_trigger_reports_from_its_first_bad_minute_on(world: ModuleType) -> None:
    play = having(world, ERRORS)
    play.start()
    play.minutes(3)
    play.minutes(1, error_rate=0.3)
    report = only(play)

    assert ("trigger", "errors", Verdict.FAIL) == (report.cause, report.trigger, report.verdict)
    assert (800, 60, 200) == (report.requests, report.failed, report.affected)
    assert (play.clock - MINUTE, 60.0) == (report.first_bad_at, report.seconds)
    assert (world.NEW.version, world.OLD.version) == (report.left_version, report.restored_version)
    assert (500, play.config.revision) == (report.share, report.revision)
    assert (play.moment.now, False) == (report.written_at, report.simulated)


def test_a_longer_window_reports_from_the_first_of_its_bad_minutes_on(world: ModuleType) -> None:
    play = having(world, SLOW)
    play.start()
    play.minutes(4)
    good = play.clock
    while play.entry.rollout is not None:
        play.minutes(1, latency=4000.0)
    report = only(play)

    assert ("slow", good) == (report.trigger, report.first_bad_at)
    assert (play.clock - good) // MINUTE * 200 == report.affected


def test_a_guardrail_reports_from_where_its_evidence_stood_lowest(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(4)
    good = play.clock
    while play.entry.rollout is not None:
        play.minutes(1, error_rate=0.05)
    report = only(play)

    assert ("guardrail", None, good) == (report.cause, report.trigger, report.first_bad_at)
    assert (play.clock - good) / 1000 == report.seconds
    assert report.requests > report.affected > report.failed > 0
    assert ["errors"] == [g.metric for g in report.guardrails if g.verdict is Verdict.FAIL]


def test_the_critical_minute_reports_itself(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(2)
    play.minutes(1, error_rate=0.5)
    report = only(play)

    assert ("trigger", "critical", 60.0, 200) == (
        report.cause,
        report.trigger,
        report.seconds,
        report.affected,
    )


def test_a_persons_word_has_no_evidence_before_it(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(2)
    play.feed(world.command("abort"))
    report = only(play)

    assert ("command", "alice", None, None) == (
        report.cause,
        report.by,
        report.first_bad_at,
        report.seconds,
    )


def test_a_report_counts_no_requests_of_another_config(world: ModuleType) -> None:
    play = promoted(world, ERRORS)
    play.minutes(5)
    play.feed(world.row(play.clock - 15 * MINUTE, 5000, config=None, window="15m"))
    play.feed(world.deploy("next", world.OTHER, at=play.clock), world.command("abort"))
    report = only(play)

    assert (world.OTHER.version, 500) == (report.left_version, report.share)
    assert (0, 0) == (report.requests, report.failed)


def test_a_rule_is_named(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(2)
    play.feed(world.deploy("back", None, at=play.clock, action=Action.ROLLBACK, rule="spike"))

    assert ("rule", "spike") == (only(play).cause, only(play).trigger)


def test_a_wait_that_is_over_and_a_model_that_is_gone_are_told_apart(world: ModuleType) -> None:
    impatient = replace(world.BALANCED, when_waiting="rollback", max_wait_s=60, min_samples=10**6)
    waiting = world.Play()
    strategies = {**waiting.policy.catalog.strategies, "balanced": impatient}
    catalog = replace(waiting.policy.catalog, strategies=strategies)
    waiting.policy = replace(waiting.policy, catalog=catalog)
    waiting.start()
    waiting.minutes(8)
    gone = world.Play()
    gone.start()
    gone.minutes(1)
    gone.policy = replace(gone.policy, catalog=replace(world.CATALOG, models={}))
    gone.minutes(1)

    assert ("wait", "catalog") == (only(waiting).cause, only(gone).cause)


def test_what_served_nobody_has_no_report(world: ModuleType) -> None:
    play = world.Play()
    play.minutes(1)
    play.feed(world.deploy(at=play.clock), world.command("abort"))

    assert (Phase.ROLLED_BACK, []) == (play.last.phase, reports(play))


def test_a_rehearsed_rollback_says_what_would_be_restored_and_does_nothing(
    world: ModuleType,
) -> None:
    play = world.Play()
    play.three_versions()
    entry = play.entry
    told = play.feed(world.command("rollback", dry_run=True, reason="What if?"))
    report = only(play)

    assert (entry, [report]) == (play.entry, [emit.value for emit in told])
    assert (True, False, world.OTHER.version, world.NEW.version) == (
        report.simulated,
        report.refused,
        report.left_version,
        report.restored_version,
    )
    assert "Rehearsed by alice: What if?." == report.reason


def test_a_rehearsed_rollback_of_a_rollout_leaves_it_alone(world: ModuleType) -> None:
    play = promoted(world, ERRORS)
    play.minutes(1)
    play.feed(world.deploy("next", world.OTHER, at=play.clock))
    play.feed(world.command("rollback", dry_run=True, version=world.OLD.version))

    assert (world.OTHER, Phase.RAMPING) == (
        play.entry.rollout.candidate,
        play.entry.rollout.phase,
    )
    assert (world.NEW.version, world.OLD.version) == (
        only(play).left_version,
        only(play).restored_version,
    )


def test_a_rehearsal_is_refused_where_the_rollback_would_be(world: ModuleType) -> None:
    play = world.Play()
    play.past()
    entry = play.entry
    told = play.feed(world.command("rollback", dry_run=True))
    report = only(play)

    assert (entry, [report]) == (play.entry, [emit.value for emit in told])
    assert (True, True, 0, None) == (
        report.simulated,
        report.refused,
        report.share,
        report.restored_version,
    )
    assert "There is no version before the stable one" in report.reason


def test_a_rehearsal_of_what_serves_nobody_says_so(world: ModuleType) -> None:
    play = world.Play()
    play.minutes(1)
    play.feed(world.deploy(at=play.clock))
    told = play.feed(world.command("rollback", dry_run=True))
    report = only(play)

    assert [report] == [emit.value for emit in told]
    assert (True, False, 0, world.NEW.version, world.OLD.version) == (
        report.simulated,
        report.refused,
        report.share,
        report.left_version,
        report.restored_version,
    )
    assert Phase.PENDING is play.entry.rollout.phase


def test_only_a_rollback_can_be_rehearsed(world: ModuleType) -> None:
    play = world.Play()
    play.past()
    told = play.feed(world.command("set", config=world.NEW, dry_run=True))

    assert (
        "Only a rollback can be rehearsed: send set without dry_run.",
        [only(play)],
        None,
    ) == (only(play).reason, [emit.value for emit in told], play.entry.stable)


@pytest.mark.parametrize("wide", ["search", "*"])
def test_a_rehearsal_in_a_wider_scope_touches_none_beneath_it(world: ModuleType, wide: str) -> None:
    play = world.Play()
    play.minutes(1)
    play.feed(world.deploy(at=play.clock))
    entry = play.entry
    told = play.feed(world.command("rollback", wide, dry_run=True))

    assert entry == play.entry
    assert {RollbackReport} >= {type(emit.value) for emit in told}


def test_a_report_says_since_when_requests_were_counted_or_that_nobody_did(
    world: ModuleType,
) -> None:
    counted, uncounted = world.Play(), world.Play()
    counted.start()
    began = counted.clock
    counted.minutes(2)
    counted.feed(world.command("rollback", dry_run=True))
    uncounted.three_versions()
    uncounted.minutes(3)
    uncounted.feed(world.command("rollback", dry_run=True))

    assert (began, 400) == (only(counted).counted_since, only(counted).requests)
    assert (None, 0) == (only(uncounted).counted_since, only(uncounted).requests)

"""What takes a candidate back without waiting for a verdict."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest

from schemas.alarm import Answer
from schemas.rollout import Phase
from schemas.window import MINUTE
from tests.processors.actuate.triggering import (
    DEAR,
    ERRORS,
    POOR,
    SLOW,
    alarms,
    having,
    judged,
    reports,
)


def test_a_critical_trigger_takes_a_candidate_back_at_once(world: ModuleType) -> None:
    play = having(world, ERRORS)
    play.start()
    play.minutes(3)
    play.minutes(1, error_rate=0.3)

    assert Phase.ROLLED_BACK is play.last.phase
    assert (
        "Trigger errors (critical): 30.0% of 200 requests of the candidate failed within 1 min, "
        "limit 10.0%; 0.0% of the stable config."
    ) == play.last.reason.split(" 800 requests")[0]
    assert [Answer.TAKEN_BACK] == [alarm.answer for alarm in alarms(play)]


def test_what_was_taken_back_by_a_trigger_is_not_tried_again(world: ModuleType) -> None:
    play = having(world, ERRORS)
    play.start()
    play.minutes(1, error_rate=0.3)
    play.feed(world.deploy("again", at=play.clock))

    assert "was taken back here, and nothing that this depended on has changed" in play.last.reason


def test_an_outage_of_both_cohorts_blames_no_candidate(world: ModuleType) -> None:
    play = having(world, ERRORS, SLOW)
    play.start()
    for _ in range(10):
        play.feed(
            *(
                replace(row, window=replace(row.window, errors=n, success=row.window.requests - n))
                for row in play.rows(play.clock, latency=400.0)
                for n in (row.window.requests * 4 // 10,)
            )
        )
        play.clock += MINUTE

    assert ([], Phase.RAMPING) == (alarms(play), play.entry.rollout.phase)


def test_a_high_trigger_waits_until_it_is_confirmed(world: ModuleType) -> None:
    play = having(world, SLOW)
    play.start()
    play.minutes(1, latency=4000.0)

    assert Phase.RAMPING is play.entry.rollout.phase

    play.minutes(1, latency=4000.0)

    assert Phase.ROLLED_BACK is play.last.phase
    assert "latencies of the candidate were above 2,000 ms within 5 min" in play.last.reason


def test_a_minute_without_evidence_begins_the_confirmation_anew(world: ModuleType) -> None:
    play = having(world, replace(SLOW, window_s=60))
    play.start()
    play.minutes(1, latency=4000.0)
    play.minutes(1, 1000, latency=400.0)
    play.minutes(1, latency=4000.0)

    assert [] == alarms(play)


@pytest.mark.parametrize("requests", [0, 4000])
def test_only_a_bad_minute_confirms_a_bad_minute(world: ModuleType, requests: int) -> None:
    play = having(world, SLOW)
    play.start()
    play.minutes(1, latency=5000.0)
    rows = play.rows(play.clock, requests or 4000)
    play.feed(*(row for row in rows if requests or row.window.cohort != "candidate"))
    play.clock += MINUTE

    assert ([], Phase.RAMPING) == (alarms(play), play.entry.rollout.phase)

    play.minutes(1, latency=5000.0)

    assert Phase.ROLLED_BACK is play.last.phase


@pytest.mark.parametrize("known", [0, 49])
def test_no_evidence_is_no_trigger(world: ModuleType, known: int) -> None:
    play = having(world, ERRORS, replace(SLOW, min_requests=250), POOR, DEAR)
    play.start()
    play.minutes(6, requests=20 * known, error_rate=1.0, latency=9000.0)

    assert [] == alarms(play)


def test_without_a_control_only_errors_speak_for_themselves(world: ModuleType) -> None:
    play = having(world, ERRORS, SLOW)
    play.start()
    for _ in range(3):
        play.feed(
            *(r for r in play.rows(play.clock, latency=9000.0) if r.window.cohort != "stable")
        )
        play.clock += MINUTE

    assert [] == alarms(play)

    rows = play.rows(play.clock, error_rate=0.5)
    play.feed(*(row for row in rows if row.window.cohort != "stable"))

    assert ["errors"] == [alarm.trigger for alarm in alarms(play)]
    assert alarms(play)[0].baseline is None


def test_a_semi_automatic_trigger_asks_once_until_its_question_expires(world: ModuleType) -> None:
    play = having(world, replace(POOR, expires_s=1200, quiet_s=3600))
    play.start()
    judged(play, 15, quality=70.0)

    assert [Answer.ASKED] == [alarm.answer for alarm in alarms(play)]
    assert (Phase.RAMPING, play.entry.vigil.question) == (
        play.entry.rollout.phase,
        alarms(play)[0],
    )

    judged(play, 20, quality=70.0)

    assert [Answer.ASKED, Answer.EXPIRED] == [alarm.answer for alarm in alarms(play)]
    assert 1 == len({alarm.id for alarm in alarms(play)})
    assert play.entry.vigil.question is None


def test_a_question_ends_with_the_rollout_that_it_is_about(world: ModuleType) -> None:
    play = having(world, POOR)
    play.start()
    judged(play, 5, quality=70.0)
    play.feed(world.command("abort"))

    assert [Answer.ASKED, Answer.EXPIRED] == [alarm.answer for alarm in alarms(play)]
    assert "what it was about has ended" in alarms(play)[-1].sentence


def test_a_manual_trigger_tells_and_does_nothing(world: ModuleType) -> None:
    play = having(world, DEAR)
    play.start()
    judged(play, 20, quality=90.0, cost=0.03)

    assert [Answer.TOLD, Answer.TOLD] == [alarm.answer for alarm in alarms(play)]
    assert (0.03, 0.02, 0.01) == tuple(
        round(part, 4) for part in (alarms(play)[0].value, alarms(play)[0].limit, 0.01)
    )
    assert Phase.RAMPING is play.entry.rollout.phase


def test_a_simulated_trigger_says_what_it_would_do_and_does_nothing(world: ModuleType) -> None:
    play = having(world, replace(ERRORS, simulate=True))
    play.start()
    revision = play.entry.revision
    play.minutes(1, error_rate=0.3)

    assert (revision, Phase.RAMPING) == (play.entry.revision, play.entry.rollout.phase)
    assert Answer.SIMULATED is alarms(play)[0].answer
    assert [(True, world.NEW.version, world.OLD.version)] == [
        (each.simulated, each.left_version, each.restored_version) for each in reports(play)
    ]


def test_a_changed_trigger_starts_anew(world: ModuleType) -> None:
    play = having(world, SLOW)
    play.start()
    play.minutes(1, latency=4000.0)
    changed = {"slow": replace(SLOW, limit=1900.0)}
    play.policy = replace(play.policy, catalog=replace(play.policy.catalog, triggers=changed))
    play.minutes(1, latency=4000.0)

    assert 1 == len(play.entry.vigil.watches["slow"].pairs)


def test_triggers_of_other_scopes_and_disabled_ones_watch_nothing(world: ModuleType) -> None:
    play = having(
        world, replace(ERRORS, scopes=("mail",)), replace(ERRORS, id="off", enabled=False)
    )
    play.start()
    play.minutes(1, error_rate=0.3)

    assert ([], {}) == (alarms(play), play.entry.vigil.watches)

"""Triggers that ask a person, and what the person says."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

from schemas.alarm import Answer
from schemas.rollout import Phase
from tests.processors.actuate.triggering import (
    ERRORS,
    POOR,
    alarms,
    failing,
    having,
    judged,
    promoted,
    reports,
)

ASKS = replace(ERRORS, mode="semi_automatic", expires_s=600, quiet_s=3600)


def asked(world: ModuleType) -> Any:
    """A rollout of which a trigger asks whether it shall be taken back."""
    play = having(world, POOR)
    play.start()
    judged(play, 3, quality=70.0)

    assert [Answer.ASKED] == [alarm.answer for alarm in alarms(play)]
    return play


def test_a_question_says_until_when_it_can_be_answered_and_how(world: ModuleType) -> None:
    play = asked(world)
    question = alarms(play)[0]

    assert question.at + 3_600_000 == question.expires_at
    assert (world.NEW.version, world.OLD.version) == (question.version, question.target_version)
    assert question.sentence.startswith("Trigger poor (medium): quality of the candidate was 70.0")
    assert (
        "Shall it be taken back? `llmopt alarms` lists it and takes the answer."
        in question.sentence
    )


def test_once_approved_the_candidate_is_taken_back_and_remembered(world: ModuleType) -> None:
    play = asked(world)
    play.feed(world.command("approve", reason="I see it, too"))
    play.feed(world.deploy("again", at=play.clock))

    assert [Answer.ASKED, Answer.APPROVED] == [alarm.answer for alarm in alarms(play)]
    assert (Phase.ROLLED_BACK, "alice") == (play.events[-2].phase, play.events[-2].by)
    assert play.events[-2].reason.startswith("Approved by alice: I see it, too. Trigger poor")
    assert ("trigger", "poor") == (reports(play)[0].cause, reports(play)[0].trigger)
    assert "was taken back here" in play.last.reason


def test_once_rejected_the_candidate_goes_on(world: ModuleType) -> None:
    play = asked(world)
    play.feed(world.command("reject", rollout_id=alarms(play)[0].id))

    assert [Answer.ASKED, Answer.REFUSED] == [alarm.answer for alarm in alarms(play)]
    assert (Phase.RAMPING, None) == (play.entry.rollout.phase, play.entry.vigil.question)


def test_a_word_about_a_rollout_does_not_answer_the_question(world: ModuleType) -> None:
    play = asked(world)
    play.feed(world.command("approve", rollout_id=play.entry.rollout.id))

    assert "does not wait for approval" in play.last.reason
    assert play.entry.vigil.question is not None


def test_what_was_promoted_goes_back_to_where_the_question_said(world: ModuleType) -> None:
    play = promoted(world, ASKS)
    play.minutes(3)
    failing(play)
    play.feed(world.command("stop"), world.command("approve"))

    assert world.OLD == play.entry.stable
    assert [Answer.ASKED, Answer.APPROVED] == [alarm.answer for alarm in alarms(play)]


def test_a_question_about_the_stable_config_ends_when_a_rollout_begins(world: ModuleType) -> None:
    play = promoted(world, ASKS)
    play.minutes(3)
    failing(play)
    play.feed(world.deploy("next", world.OTHER, at=play.clock))
    play.minutes(1)

    assert [Answer.ASKED, Answer.EXPIRED] == [alarm.answer for alarm in alarms(play)]
    assert play.entry.rollout.id == play.entry.vigil.subject


def test_a_question_stands_until_its_time_though_the_regret_period_is_over(
    world: ModuleType,
) -> None:
    brief = promoted(world, replace(ASKS, within="regret"), regret_s=300)
    brief.minutes(3)
    failing(brief)
    brief.minutes(9)

    assert [Answer.ASKED] == [alarm.answer for alarm in alarms(brief)]

    brief.minutes(2)

    assert [600_000] == [alarm.at - alarms(brief)[0].at for alarm in alarms(brief)[1:]]
    assert "Nobody answered in time." == alarms(brief)[1].sentence
    assert brief.entry.vigil is None


def test_an_answer_that_comes_too_late_is_refused(world: ModuleType) -> None:
    play = promoted(world, ASKS)
    play.minutes(3)
    failing(play)
    entry = replace(play.entry, at=play.entry.at + 600_000)
    play.state = replace(play.state, scopes={**play.state.scopes, world.SCOPE: entry})
    play.feed(world.command("approve"))

    assert [Answer.ASKED, Answer.EXPIRED] == [alarm.answer for alarm in alarms(play)]
    assert "The question of trigger errors has expired." == play.last.reason
    assert world.NEW == play.entry.stable


def test_a_target_that_has_left_the_history_is_no_way_back_any_more(world: ModuleType) -> None:
    play = promoted(world, ASKS)
    play.minutes(3)
    failing(play)
    entry = replace(play.entry, history=())
    play.state = replace(play.state, scopes={**play.state.scopes, world.SCOPE: entry})
    play.feed(world.command("approve"))

    assert f"{world.OLD.version} is no longer in the history of this scope." == play.last.reason

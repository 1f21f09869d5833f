"""What takes back what a rollout ended with."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest

from schemas.alarm import Answer
from schemas.rollout import Phase, Verdict
from schemas.scope import BUCKETS
from schemas.window import MINUTE
from tests.processors.actuate.triggering import (
    DEAR,
    ERRORS,
    alarms,
    failing,
    having,
    judged,
    promoted,
    reports,
)


def test_what_was_promoted_is_taken_back_when_it_fails(world: ModuleType) -> None:
    play = promoted(world, ERRORS)
    play.minutes(3)
    rows = play.rows(play.clock)
    window = replace(rows[0].window, errors=1200, success=2800, error_units=tuple(range(1200)))
    play.feed(replace(rows[0], window=window), rows[1])

    assert (world.OLD, None) == (play.entry.stable, play.entry.promoted_at)
    assert (Phase.ROLLED_BACK, Verdict.FAIL) == (play.last.phase, play.last.verdict)
    assert "of the stable config failed within 1 min" in play.last.reason
    assert "0.0% before the change" in play.last.reason


@pytest.mark.parametrize(("cost", "told"), [(50.0, [0.01]), (None, [])])
def test_a_cost_is_compared_with_what_the_past_was_priced_at(
    world: ModuleType, cost: float | None, told: list[float]
) -> None:
    play = having(world, DEAR)
    play.past()
    past = world.row(play.clock - 15 * MINUTE, 5000, config=None, window="15m")
    play.feed(replace(past, cost_usd=cost), world.deploy(at=play.clock, strategy="at once"))
    play.minutes(1)
    judged(play, 5, quality=90.0, cost=0.03, served=world.NEW.version)

    assert told == [alarm.baseline for alarm in alarms(play)]


def test_a_scope_that_failed_before_the_change_blames_no_change(world: ModuleType) -> None:
    play = having(world, ERRORS)
    play.past()
    was = world.row(play.clock - 15 * MINUTE, 5000, config=None, window="15m", errors=1500)
    play.feed(was, world.deploy(at=play.clock, strategy="at once"))
    play.minutes(4)
    failing(play)

    assert ([], world.NEW) == (alarms(play), play.entry.stable)


def test_what_a_person_set_is_not_watched(world: ModuleType) -> None:
    play = having(world, ERRORS)
    play.past()
    play.feed(world.command("set", config=world.NEW))
    play.minutes(3)
    failing(play)

    assert ([], world.NEW) == (alarms(play), play.entry.stable)


def test_after_the_regret_period_only_lasting_triggers_watch(world: ModuleType) -> None:
    brief = promoted(world, replace(ERRORS, within="regret"), regret_s=600)
    brief.minutes(12)
    failing(brief)
    lasting = promoted(world, ERRORS, regret_s=600)
    lasting.minutes(12)
    failing(lasting)

    assert (world.NEW, None) == (brief.entry.stable, brief.entry.vigil)
    assert world.OLD == lasting.entry.stable


def test_a_trigger_of_candidates_leaves_the_stable_config_alone(world: ModuleType) -> None:
    play = promoted(world, replace(ERRORS, extent="candidate"))
    play.minutes(3)
    failing(play)

    assert ([], world.NEW) == (alarms(play), play.entry.stable)


def test_without_a_way_back_it_says_so(world: ModuleType) -> None:
    play = promoted(world, replace(ERRORS, target="v-000000000000"))
    play.minutes(3)
    failing(play)

    assert world.NEW == play.entry.stable
    assert (Answer.HELD, None) == (alarms(play)[0].answer, alarms(play)[0].target_version)
    assert alarms(play)[0].sentence.endswith(
        "There is no way back: v-000000000000 is no version that was stable here."
    )


def test_the_stable_config_goes_back_to_a_version_that_is_named(world: ModuleType) -> None:
    play = having(world, replace(ERRORS, target=world.OTHER.version))
    play.past()
    play.feed(world.command("set", id="1", config=world.OTHER))
    play.feed(world.command("set", id="2", config=world.OLD))
    play.feed(world.row(play.clock - 15 * MINUTE, 5000, config=None, window="15m"))
    play.feed(world.deploy(at=play.clock, strategy="at once"))
    play.minutes(4)
    failing(play)

    assert world.OTHER == play.entry.stable


def test_a_stopped_scope_is_only_observed(world: ModuleType) -> None:
    play = promoted(world, ERRORS)
    play.minutes(3)
    play.feed(world.command("stop", "*"))
    failing(play)

    assert (Answer.HELD, world.NEW) == (alarms(play)[0].answer, play.entry.stable)
    assert "stopped by alice" in alarms(play)[0].sentence


def test_what_a_stop_held_back_is_done_in_the_first_minute_after_it(world: ModuleType) -> None:
    play = promoted(world, ERRORS)
    play.minutes(3)
    play.feed(world.command("stop", "*"))
    failing(play)
    failing(play)
    play.feed(world.command("resume", "*"))
    failing(play)

    assert [Answer.HELD, Answer.TAKEN_BACK] == [alarm.answer for alarm in alarms(play)]
    assert world.OLD == play.entry.stable


def test_a_pending_rollout_ends_with_the_config_that_it_was_to_follow(world: ModuleType) -> None:
    play = promoted(world, ERRORS)
    play.minutes(3)
    play.feed(world.command("pause"))
    play.feed(world.deploy("next", world.OTHER, at=play.clock))
    play.feed(world.command("resume"))
    entry = replace(play.entry, past=None)
    play.state = replace(play.state, scopes={**play.state.scopes, world.SCOPE: entry})
    play.feed(world.deploy("other", world.OTHER, at=play.clock))

    assert Phase.PENDING is play.entry.rollout.phase

    failing(play)

    assert (world.OLD, None) == (play.entry.stable, play.entry.rollout)
    assert "What it was to follow is taken back." in play.events[-2].reason


def test_triggers_return_a_scope_so_often_in_an_hour_and_then_only_tell(
    world: ModuleType,
) -> None:
    play = promoted(world, ERRORS)
    entry = replace(play.entry, returned_at=(play.clock - 60, play.clock - 50, play.clock - 40))
    play.state = replace(play.state, scopes={**play.state.scopes, world.SCOPE: entry})
    play.minutes(3)
    failing(play)

    assert (Answer.HELD, world.NEW) == (alarms(play)[0].answer, play.entry.stable)
    assert "took this scope back 3 times within an hour" in alarms(play)[0].sentence


def test_so_many_scopes_are_returned_at_once_and_the_next_one_waits(world: ModuleType) -> None:
    play = promoted(world, ERRORS)
    play.minutes(3)
    busy = replace(play.state.scopes["*"], returned_at=(play.clock + 1,) * 3)
    play.state = replace(play.state, scopes={**play.state.scopes, "*": busy})
    failing(play)

    assert alarms(play)[0].sentence.endswith(
        "It waits: 3 scopes of this partition are being taken back at this moment, and "
        "its part of max_returns is 3."
    )

    failing(play)

    assert world.OLD == play.entry.stable
    assert 4 == len(play.state.scopes["*"].returned_at)


def test_a_candidate_that_everybody_was_served_uses_up_no_return(world: ModuleType) -> None:
    play = having(world, ERRORS)
    strategies = {**play.policy.catalog.strategies, "blue-green": world.BLUE_GREEN}
    play.policy = replace(play.policy, catalog=replace(play.policy.catalog, strategies=strategies))
    play.start(strategy="blue-green")
    while play.entry.rollout.share < BUCKETS:
        play.minutes(1)
    play.minutes(2)
    play.minutes(1, error_rate=0.3)

    assert ("trigger", "errors", BUCKETS) == (
        reports(play)[0].cause,
        reports(play)[0].trigger,
        reports(play)[0].share,
    )
    assert () == play.state.scopes["*"].returned_at

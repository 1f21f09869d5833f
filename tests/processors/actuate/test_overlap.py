from __future__ import annotations

from types import ModuleType

import pytest

from schemas.flow import Moment
from schemas.rollout import Phase

MINUTE = 60_000


@pytest.mark.parametrize("scope", ["search", "*"])
def test_nothing_is_rolled_out_where_nothing_is_measured(world: ModuleType, scope: str) -> None:
    play = world.Play()
    play.past()
    play.feed(world.deploy(scope=scope, current=world.OLD, at=play.clock))

    assert Phase.REJECTED is play.last.phase
    assert play.last.reason.startswith(f"No windows are made of {scope!r} as a whole")


@pytest.mark.parametrize("scope", ["search", "*"])
def test_a_rollout_goes_on_when_a_wider_scope_is_set(world: ModuleType, scope: str) -> None:
    play = world.Play()
    play.start()
    before = play.entry
    play.feed(world.command("set", scope, config=world.OTHER))

    assert before == play.entry
    assert world.OLD == play.config.stable


@pytest.mark.parametrize("scope", ["search", "*"])
def test_a_rollout_that_has_not_begun_is_given_up_when_another_config_serves(
    world: ModuleType, scope: str
) -> None:
    play = world.Play()
    play.feed(world.deploy(current=world.OLD))
    play.feed(world.command("set", scope, config=world.OTHER))
    end = next(event for event in play.events if event.phase is Phase.ROLLED_BACK)
    play.feed(world.deploy("again", current=world.OTHER))

    assert (world.SCOPE, "alice") == (end.scope, end.by)
    assert end.reason == f"What serves search/answer was changed for {scope} by alice."
    assert (Phase.PENDING, "again") == (play.last.phase, play.last.decision_id)


def test_who_serves_is_learned_anew_when_a_wider_scope_is_set(world: ModuleType) -> None:
    play = world.Play()
    play.past()
    play.feed(world.command("set", "search", config=world.OTHER))
    play.feed(world.row(play.clock, config=world.OTHER), world.row(play.clock, config=None))
    play.clock += MINUTE
    play.feed(world.row(play.clock - 15 * MINUTE, 5000, config=None, window="15m"))
    play.feed(world.deploy(at=play.clock))

    assert (Phase.RAMPING, world.OTHER) == (play.last.phase, play.config.stable)


def test_who_serves_is_learned_anew_when_a_wider_scope_is_unset(world: ModuleType) -> None:
    play = world.Play()
    play.feed(world.command("set", "search", config=world.OTHER))
    play.past()
    play.feed(world.command("unset", "search"))

    assert () == play.entry.serving
    assert play.entry.past is None


def test_it_makes_no_difference_which_task_has_the_wider_scope(world: ModuleType) -> None:
    # search lies in another partition than search/answer, which lies in partition 2 of 4.
    play = world.Play(moment=Moment(now=1, seed=1, epoch=1, partition=2, partitions=4))
    play.feed(world.deploy(current=world.OLD))
    play.feed(world.command("set", "search", config=world.OTHER))

    assert Phase.ROLLED_BACK is play.last.phase
    assert [] == play.configs


@pytest.mark.parametrize("scope", ["mail", "search/other"])
def test_a_scope_beside_it_changes_nothing(world: ModuleType, scope: str) -> None:
    play = world.Play()
    play.past()
    before = play.entry
    play.feed(world.command("set", scope, config=world.OTHER))

    assert before == play.entry


def test_a_pause_of_all_is_no_change_of_what_serves(world: ModuleType) -> None:
    play = world.Play()
    play.past()
    before = play.entry
    play.feed(world.command("pause", "*"))

    assert before == play.entry

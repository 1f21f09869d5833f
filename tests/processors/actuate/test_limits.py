"""What keeps the optimizer from thrashing: limits, back-off, and no second try."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from processors.actuate.policy import ActuatePolicy
from processors.actuate.version import versioned
from schemas.catalog import Constraints, PriceEntry
from schemas.decision import Action
from schemas.rollout import Phase

MINUTE = 60_000
DAY = 86_400_000


def limited(world: ModuleType, minutes: float, **policy: Any) -> Any:
    """A scope whose changes lie so many minutes apart, with a past."""
    limits = Constraints(max_changes_per_day=50, min_minutes_between_changes=minutes)
    catalog = replace(world.CATALOG, constraints={"*": limits})
    fields = {"breaker_failures": 99} | policy
    play = world.Play(policy=ActuatePolicy(catalog=catalog, **fields))
    play.past()
    return play


def fail(world: ModuleType, play: Any, n: int) -> None:
    """Another candidate that is taken back within a minute."""
    play.feed(world.deploy(f"bad {n}", versioned(replace(world.NEW, max_tokens=n)), at=play.clock))
    play.minutes(1, error_rate=0.5)

    assert Phase.ROLLED_BACK is play.last.phase


def wait(world: ModuleType, play: Any) -> int:
    """Minutes until the next candidate is accepted."""
    begun = play.clock
    for n in range(2_000):
        play.feed(world.deploy(f"try {begun} {n}", world.OTHER, at=play.clock))
        if play.last.phase is not Phase.REJECTED:
            return (play.clock - begun) // MINUTE
        play.minutes(1)
    raise AssertionError(play.last.reason)


def test_after_each_change_that_is_taken_back_the_next_one_waits_twice_as_long(
    world: ModuleType,
) -> None:
    waits = []
    for failures in (1, 2, 3, 4):
        play = limited(world, 5)
        for n in range(failures):
            entry = replace(play.entry, revised_at=None)  # as if time had passed
            play.state = replace(play.state, scopes={**play.state.scopes, world.SCOPE: entry})
            fail(world, play, n)
        waits.append(wait(world, play))

    assert [5, 10, 20, 40] == waits


def test_the_sentence_says_how_many_and_how_long(world: ModuleType) -> None:
    play = limited(world, 5)
    for n in range(3):
        entry = replace(play.entry, revised_at=None)
        play.state = replace(play.state, scopes={**play.state.scopes, world.SCOPE: entry})
        fail(world, play, n)
    play.minutes(6)
    play.feed(world.deploy("next", world.OTHER, at=play.clock))

    assert (
        "3 changes on end were taken back here, the last 6 min ago: after so many the next one "
        "waits 20 min."
    ) == play.last.reason


@pytest.mark.parametrize(("stood", "waits"), [(100, 40), (10_000, 5)])
def test_a_change_that_has_lasted_ends_the_back_off(
    world: ModuleType, stood: int, waits: int
) -> None:
    play = limited(world, 5, regret_s=3600)
    for n in range(3):
        entry = replace(play.entry, revised_at=None)
        play.state = replace(play.state, scopes={**play.state.scopes, world.SCOPE: entry})
        fail(world, play, n)
    entry = replace(play.entry, revised_at=None, promoted_at=play.clock - stood * 1000)
    entry = replace(entry, setbacks=tuple(then - 20_000_000 for then in entry.setbacks))
    play.state = replace(play.state, scopes={**play.state.scopes, world.SCOPE: entry})
    fail(world, play, 9)

    assert waits == wait(world, play)


def test_a_strategy_may_be_limited_to_so_many_rollouts_a_day(world: ModuleType) -> None:
    play = limited(world, 0)
    twice = replace(world.BALANCED, max_per_day=2)
    strategies = {**play.policy.catalog.strategies, "balanced": twice}
    catalog = replace(play.policy.catalog, strategies=strategies)
    play.policy = replace(play.policy, catalog=catalog)
    fail(world, play, 1)
    fail(world, play, 2)
    play.feed(world.deploy("third", world.OTHER, at=play.clock))

    assert (
        "2 rollouts by balanced were begun here in 24 h, and its max_per_day is 2."
    ) == play.last.reason

    play.feed(world.deploy("other", world.OTHER, at=play.clock, strategy="at once"))

    assert Phase.REJECTED is not play.last.phase


def test_a_strategys_day_is_over_after_24_hours(world: ModuleType) -> None:
    play = limited(world, 0)
    once = replace(world.BALANCED, max_per_day=1)
    strategies = {**play.policy.catalog.strategies, "balanced": once}
    play.policy = replace(play.policy, catalog=replace(play.policy.catalog, strategies=strategies))
    fail(world, play, 1)
    entry = replace(play.entry, begun=tuple(replace(b, at=b.at - DAY) for b in play.entry.begun))
    play.state = replace(play.state, scopes={**play.state.scopes, world.SCOPE: entry})
    play.feed(world.deploy("next", world.OTHER, at=play.clock))

    assert Phase.REJECTED is not play.last.phase


def test_what_was_taken_back_is_tried_again_once_its_price_has_changed(world: ModuleType) -> None:
    play = limited(world, 0)
    play.feed(world.deploy("one", at=play.clock))
    play.minutes(1, error_rate=0.5)
    play.feed(world.deploy("two", at=play.clock))

    assert "nothing that this depended on has changed" in play.last.reason

    price = PriceEntry(provider="openai", model="small", input_per_mtok=1.0, output_per_mtok=2.0)
    catalog = replace(play.policy.catalog, prices={"openai/small": (price,)})
    play.policy = replace(play.policy, catalog=catalog)
    play.feed(world.deploy("three", at=play.clock))

    assert Phase.REJECTED is not play.last.phase


def test_a_rollback_that_was_decided_before_a_rollout_began_is_not_about_it(
    world: ModuleType,
) -> None:
    play = limited(world, 0)
    play.feed(world.deploy("new", at=play.clock))
    old = play.clock - 2 * MINUTE
    play.feed(world.deploy("late", None, at=old, action=Action.ROLLBACK))

    assert (Phase.REJECTED, Phase.RAMPING) == (play.last.phase, play.entry.rollout.phase)
    assert f"It was decided before rollout {play.entry.rollout.id} began" in play.last.reason

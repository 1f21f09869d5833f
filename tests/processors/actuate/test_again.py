"""What may be tried again, and when: both stages that remember a rollback must think alike."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from processors.actuate.policy import ActuatePolicy
from processors.decide import absorb
from processors.decide.state import ScopeState
from schemas.catalog import Constraints
from schemas.report import RollbackReport
from schemas.rollout import Phase

LIMITS = Constraints(max_changes_per_day=50, min_minutes_between_changes=5)
LACKING = {"min_samples": 100_000, "max_wait_s": 600}  # more samples than the scope has requests
IN_VAIN = {  # why nothing was found out -> strategy, what is different in it, and the sentence
    "wait": ("balanced", LACKING | {"when_waiting": "rollback"}, "Gave up: "),
    "extensions": (
        "balanced",
        LACKING | {"when_waiting": "extend", "max_extensions": 1},
        "Gave up: ",
    ),
    "question": (
        "balanced",
        LACKING | {"when_waiting": "ask", "approval_expires_s": 600},
        "Nobody approved or rejected it in time.",
    ),
    "duration": ("balanced", LACKING | {"max_duration_s": 1_200}, "Not good enough within 1200 s"),
    "draw": ("ab", {"max_duration_s": 1_200}, "No winner within 1200 s"),
    "shadow": ("shadow", LACKING | {"when_waiting": "rollback"}, "Gave up: "),
}
SILENT = ["minutes", "elsewhere", "hush"]  # the scope itself has traffic, another one, none


def given_up(world: ModuleType, why: str, way: str = "minutes") -> Any:
    """A candidate that was tried until it took too long."""
    strategy, changes, sentence = IN_VAIN[why]
    catalog = replace(world.CATALOG, constraints={"*": LIMITS})
    strategies = {**catalog.strategies, strategy: replace(catalog.strategies[strategy], **changes)}
    play = world.Play(policy=ActuatePolicy(catalog=replace(catalog, strategies=strategies)))
    play.start(strategy=strategy)
    play.minutes(3)
    for _ in range(120):
        getattr(play, way)(1)
        if play.last.phase is Phase.ROLLED_BACK:
            break
    assert play.last.reason.startswith((sentence, "Gave up at "))
    return play


def followed(play: Any) -> tuple[str, ...]:
    """The models that `decide` does not choose, after all that the actuator has told it."""
    state = ScopeState(scope=play.last.scope)
    for event in play.events:
        state = absorb.follow(state, event)
    return state.rolled_back


@pytest.mark.parametrize("why", IN_VAIN)
@pytest.mark.parametrize("way", SILENT)
def test_what_was_never_found_worse_is_not_held_against_it(
    world: ModuleType, why: str, way: str
) -> None:
    play = given_up(world, why, way)
    reports = [e.value for e in play.emits if isinstance(e.value, RollbackReport)]

    assert (False, ()) == (play.last.blamed, play.entry.failed)
    assert () == followed(play)
    assert ["wait"] == [report.cause for report in reports]
    assert 0 == play.state.scopes["*"].failures


@pytest.mark.parametrize("why", IN_VAIN)
def test_it_is_tried_again_after_the_back_off_and_not_before(world: ModuleType, why: str) -> None:
    play = given_up(world, why)
    play.minutes(4)
    play.feed(world.deploy("too soon", at=play.clock, strategy=IN_VAIN[why][0]))
    refused = play.last
    play.minutes(1)
    play.feed(world.deploy("again", at=play.clock, strategy=IN_VAIN[why][0]))

    assert Phase.REJECTED is refused.phase
    assert "The last change was 4 min ago" in refused.reason
    assert (Phase.RAMPING, world.NEW.version) == (play.last.phase, play.last.candidate_version)


def test_each_time_in_vain_the_next_one_waits_twice_as_long(world: ModuleType) -> None:
    play = given_up(world, "wait")
    waits = []
    for turn in range(3):
        ended = play.clock
        while play.last.phase in (Phase.ROLLED_BACK, Phase.REJECTED):
            play.minutes(1)
            play.feed(world.deploy(f"{turn} {play.clock}", at=play.clock))
        waits.append((play.clock - ended) // 60_000)
        while play.last.phase is not Phase.ROLLED_BACK:
            play.minutes(1)

    assert [5, 10, 20] == waits


def test_one_that_was_found_worse_is_held_against_it_by_both(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(3, error_rate=0.5)
    play.minutes(60)
    play.feed(world.deploy("again", at=play.clock))

    assert ("openai/small",) == followed(play)
    assert [world.NEW.version] == [failure.version for failure in play.entry.failed]
    assert Phase.REJECTED is play.last.phase
    assert "nothing that this depended on has changed" in play.last.reason


def test_a_failure_by_one_strategy_is_not_forgotten_for_one_by_another(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(1, error_rate=0.5)
    failed = play.last
    play.feed(world.deploy("asked", strategy="asks", at=play.clock))
    play.feed(world.command("reject"))
    rejected = play.last
    play.feed(world.deploy("again", at=play.clock))

    assert [(Phase.ROLLED_BACK, True)] * 2 == [(e.phase, e.blamed) for e in (failed, rejected)]
    assert Phase.REJECTED is play.last.phase
    assert "was taken back here, and nothing that this depended on" in play.last.reason

from __future__ import annotations

from types import ModuleType

import pytest

from processors.actuate.cycle import NEXT, route
from schemas.decision import Action, Violation
from schemas.loop import LoopState
from schemas.rollout import Phase

HOUR = 3_600_000
FEW = Violation(constraint="min_minutes", limit=15.0, value=3.0, explanation="", suggestion="")


def targets(play: ModuleType) -> list[str]:
    """Where a scope went, move by move."""
    return [move.target.value for move in play.transitions]


TO_A_PLAN = ["collecting", "analyzing", "deciding", "validating"]


def test_every_state_of_the_loop_has_its_row_and_leads_home() -> None:
    assert set(LoopState) == set(NEXT)
    for state in LoopState:
        assert state is LoopState.IDLE or LoopState.IDLE is route(state, LoopState.IDLE)[-1]


def test_a_rollout_that_passes_goes_round_the_loop(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(20)

    assert Phase.PROMOTED is play.last.phase
    assert [*TO_A_PLAN, "deploying", "monitoring", "idle"] == targets(play)
    assert {play.last.id} == {move.rollout_id for move in play.transitions[4:]}
    assert {"d1"} == {move.decision_id for move in play.transitions}


def test_a_rollout_that_fails_goes_round_by_the_way_back(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(10, latency=900.0)

    assert [*TO_A_PLAN, "deploying", "monitoring", "rolling_back", "idle"] == targets(play)
    assert play.transitions[-1].reason == play.last.reason


def test_a_plan_that_is_refused_ends_where_it_is_validated(world: ModuleType) -> None:
    play = world.Play()
    play.past()
    play.feed(world.deploy(strategy="no such", at=play.clock))

    assert [*TO_A_PLAN, "idle"] == targets(play)
    assert play.last.reason == play.transitions[-1].reason


def test_what_is_refused_beside_a_rollout_moves_nothing(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    before = targets(play)
    play.feed(world.deploy("d2", world.OTHER, at=play.clock))

    assert (Phase.REJECTED, before) == (play.last.phase, targets(play))


def test_a_decision_to_do_nothing_beside_a_rollout_moves_nothing(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    before = targets(play)
    play.feed(world.deploy("d2", action=Action.NONE, at=play.clock))

    assert before == targets(play)


@pytest.mark.parametrize("lack", [{"current": None}, {"violations": (FEW,)}])
def test_too_little_data_ends_the_cycle_where_it_is_collected(
    world: ModuleType, lack: dict[str, object]
) -> None:
    play = world.Play()
    play.feed(world.deploy(**{"action": Action.NONE, "current": world.OLD} | lack))

    assert ["collecting", "idle"] == targets(play)


def test_a_decision_that_comes_an_hour_late_is_an_error_and_nothing_is_applied(
    world: ModuleType,
) -> None:
    play = world.Play()
    play.past()
    play.feed(world.deploy(at=play.entry.at - HOUR - 1))

    assert ["collecting", "analyzing", "error", "idle"] == targets(play)
    assert (Phase.REJECTED, []) == (play.last.phase, play.configs)
    assert play.last.reason.startswith("It was decided 60 min ago")


def test_a_late_decision_beside_a_rollout_is_refused_and_the_rollout_goes_on(
    world: ModuleType,
) -> None:
    play = world.Play()
    play.start()
    play.feed(world.deploy("d2", at=play.entry.at - HOUR - 1))

    assert (Phase.REJECTED, Phase.RAMPING) == (play.last.phase, play.entry.rollout.phase)
    assert "monitoring" == targets(play)[-1]


def test_a_config_that_a_person_sets_goes_round_the_loop_too(world: ModuleType) -> None:
    play = world.Play()
    play.past()
    play.feed(world.command("set", config=world.NEW))

    assert [*TO_A_PLAN, "deploying", "monitoring", "idle"] == targets(play)
    assert {"alice"} == {move.by for move in play.transitions}


def test_what_a_person_takes_back_goes_round_by_the_way_back(world: ModuleType) -> None:
    play = world.Play()
    play.three_versions()
    play.feed(world.command("rollback"))

    assert [*TO_A_PLAN, "deploying", "rolling_back", "idle"] == targets(play)[-7:]

from __future__ import annotations

from types import ModuleType

from schemas.decision import Action
from schemas.rollout import Phase

HOUR = 3_600_000
MAIL = "mail/draft"


def test_after_three_failed_changes_nothing_starts_for_an_hour(world: ModuleType) -> None:
    play = world.Play()
    play.fail(3)
    mail = {"scope": MAIL, "current": world.OLD}
    play.feed(world.deploy("early", at=play.last.at + HOUR - 1, **mail))

    assert Phase.REJECTED is play.last.phase
    assert play.last.reason.startswith("3 changes failed in a row: nothing starts for 3600 s")

    play.feed(world.deploy("late", at=play.clock + HOUR, **mail))

    assert Phase.PENDING is play.last.phase


def test_half_open_one_rollout_at_a_time_is_tried(world: ModuleType) -> None:
    play = world.Play()
    play.fail(3)
    late = play.clock + HOUR
    play.feed(world.deploy("one", scope=MAIL, current=world.OLD, at=late))
    play.feed(world.deploy("two", world.OTHER, at=late))

    assert play.last.reason.startswith("3 changes failed in a row: one rollout at a time")


def test_a_change_that_passes_starts_the_count_again(world: ModuleType) -> None:
    play = world.Play()
    play.fail(2)
    play.feed(world.deploy("good", world.OTHER, at=play.clock))
    play.minutes(20)

    assert (Phase.PROMOTED, 0) == (play.last.phase, play.state.scopes["*"].failures)


def test_a_person_may_close_the_circuit(world: ModuleType) -> None:
    play = world.Play()
    play.fail(3)
    play.feed(world.command("resume", "*"), world.deploy("next", world.OTHER, at=play.clock))

    assert Phase.RAMPING is play.last.phase


def test_what_a_person_ends_is_no_failure_of_the_optimizer(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.feed(world.command("abort"))

    assert 0 == play.state.scopes["*"].failures


def test_what_a_rule_takes_back_is_a_failure(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.feed(world.deploy("back", None, at=play.clock, action=Action.ROLLBACK))

    assert (1, play.clock) == (
        play.state.scopes["*"].failures,
        play.state.scopes["*"].failed_at,
    )

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from processors.actuate.policy import ActuatePolicy
from schemas.loop import LoopState
from schemas.rollout import Phase

MINUTE = 60_000


def asked(world: ModuleType, **policy: Any) -> Any:
    """A rollout that waits to be approved, for an hour."""
    play = world.Play(policy=ActuatePolicy(catalog=world.CATALOG, **policy))
    play.start(strategy="asks")
    return play


def test_a_strategy_that_always_asks_gives_no_traffic_before_it_is_approved(
    world: ModuleType,
) -> None:
    play = asked(world)
    play.minutes(5)

    assert (Phase.PENDING, []) == (play.last.phase, play.configs)
    assert LoopState.VALIDATING is play.entry.cycle.state
    assert "asks always asks a person first." in play.last.reason
    assert play.last.reason.endswith(
        f"Approve or reject it within 1 h: `llmopt deployments approve {play.last.id}`."
    )
    assert play.last.at + 60 * MINUTE == play.last.asks_until


def test_once_approved_it_starts_and_says_by_whom_and_why(world: ModuleType) -> None:
    play = asked(world)
    play.minutes(5)
    play.feed(world.command("approve", reason="the invoice agrees"))
    word, start = play.events[-2:]

    assert (Phase.PENDING, Phase.PENDING, "alice") == (word.previous, word.phase, word.by)
    assert "Approved by alice: the invoice agrees." == word.reason
    assert (Phase.RAMPING, 500) == (start.phase, start.share)
    assert ["deploying", "monitoring"] == [m.target.value for m in play.transitions[-2:]]


def test_once_rejected_it_never_starts_and_is_not_tried_again(world: ModuleType) -> None:
    play = asked(world)
    play.feed(world.command("reject", reason="not this week"))
    end = play.last
    play.feed(world.deploy("again", strategy="asks", at=play.clock))

    assert (Phase.ROLLED_BACK, "Rejected by alice: not this week.") == (end.phase, end.reason)
    assert end.asks_until is None
    assert ["validating", "idle"] == [m.target.value for m in play.transitions[3:5]]
    assert (Phase.REJECTED, True) == (play.last.phase, "was taken back here" in play.last.reason)


@pytest.mark.parametrize("way", ["minutes", "elsewhere", "hush"])
@pytest.mark.parametrize("paused", [False, True])
def test_without_an_answer_it_expires_and_may_be_tried_again(
    world: ModuleType, way: str, *, paused: bool
) -> None:
    play = asked(world)
    if paused:
        play.feed(world.command("pause"))
    getattr(play, way)(63)
    end = play.last
    play.feed(world.command("resume"))
    play.feed(world.deploy("again", strategy="asks", at=play.clock + 4 * 3_600_000))

    assert Phase.ROLLED_BACK is end.phase
    assert end.reason == "Nobody approved or rejected it in time."
    assert Phase.PENDING is play.last.phase


@pytest.mark.parametrize(
    ("impact", "phase"),
    [(-100.0, Phase.RAMPING), (-100.01, Phase.PENDING), (250.0, Phase.PENDING)],
)
def test_above_a_certain_impact_a_person_is_asked(
    world: ModuleType, impact: float, phase: Phase
) -> None:
    play = world.Play()
    play.start(impact_usd_per_day=impact)

    assert phase is play.last.phase
    assert (phase is Phase.PENDING) == ("approval_above_usd_per_day" in play.last.reason)


@pytest.mark.parametrize(
    ("impact", "said"), [(-250.0, "It would save $250.00 a day;"), (250.0, "cost $250.00 more a")]
)
def test_a_person_who_is_asked_hears_whether_it_saves_or_costs(
    world: ModuleType, impact: float, said: str
) -> None:
    play = world.Play()
    play.start(impact_usd_per_day=impact)

    assert said in play.last.reason


def test_an_impact_that_nobody_knows_is_asked_about(world: ModuleType) -> None:
    play = world.Play()
    play.start(impact_usd_per_day=None)

    assert Phase.PENDING is play.last.phase
    assert "Nobody knows what it would change the cost by" in play.last.reason


def test_a_strategy_may_never_ask(world: ModuleType) -> None:
    trusting = replace(world.BALANCED, approval="never")
    catalog = replace(world.CATALOG, strategies={"balanced": trusting})
    play = world.Play(policy=ActuatePolicy(catalog=catalog))
    play.start(impact_usd_per_day=None)

    assert Phase.RAMPING is play.last.phase


@pytest.mark.parametrize("kind", ["approve", "reject"])
def test_what_does_not_wait_for_a_word_is_not_to_be_given_one(world: ModuleType, kind: str) -> None:
    play = world.Play()
    play.start()
    play.feed(world.command(kind))

    assert Phase.REJECTED is play.last.phase
    assert play.last.reason.startswith(
        f"Rollout {play.entry.rollout.id} does not wait for approval: it is "
    )
    assert "`llmopt deployments promote|abort " in play.last.reason
    assert Phase.RAMPING is play.entry.rollout.phase


@pytest.mark.parametrize("kind", ["approve", "reject", "promote", "abort"])
def test_a_word_about_another_rollout_is_refused(world: ModuleType, kind: str) -> None:
    play = asked(world)
    id_ = play.last.id
    play.feed(world.command(kind, rollout_id="r-before"))
    refused = play.last
    play.feed(world.command(kind, id="again", rollout_id=id_))

    assert refused.reason == f"Rollout r-before is over, {id_} is active here."
    assert id_ == play.last.id
    assert play.entry.rollout is None or Phase.RAMPING is play.entry.rollout.phase


def test_a_word_about_a_rollout_that_is_over_is_refused(world: ModuleType) -> None:
    play = world.Play()
    play.feed(world.command("approve", rollout_id="r-before"))

    assert play.last.reason == "Rollout r-before is over, none is active here."


def test_nothing_is_approved_while_the_scope_is_held(world: ModuleType) -> None:
    play = asked(world)
    play.feed(world.command("pause"), world.command("approve"))

    assert play.last.reason == "Nothing starts or climbs while paused by alice: resume first."
    assert Phase.PENDING is play.entry.rollout.phase


def test_nothing_is_approved_whose_model_is_gone_from_the_catalog(world: ModuleType) -> None:
    play = asked(world)
    models = {"openai/large": world.CATALOG.models["openai/large"]}
    play.policy = replace(play.policy, catalog=replace(world.CATALOG, models=models))
    play.feed(world.command("approve"))

    assert play.last.reason.startswith("Model openai/small is not in the catalog")
    assert play.last.reason.endswith("Reject it.")


def test_what_waits_takes_a_place_of_optimizations_but_none_of_rollouts(
    world: ModuleType,
) -> None:
    play = asked(world, max_rollouts=1, max_optimizations=2)
    other = {"scope": "mail/draft", "current": world.OLD, "at": play.clock}
    play.feed(world.deploy("d2", **other))
    second = play.last
    play.feed(world.deploy("d3", **other | {"scope": "mail/reply"}))
    third = play.last
    play.feed(world.command("approve"))

    assert Phase.PENDING is second.phase
    assert third.reason.startswith("2 optimizations are under way in this partition")
    assert play.last.reason == (
        "1 rollouts are active in this partition, and its part of max_rollouts is 1. "
        "Approve it when one is over."
    )

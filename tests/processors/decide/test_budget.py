"""What is spent, and what is no longer tried then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from processors.decide.budget import overspent, spend
from processors.decide.policy import DecidePolicy
from processors.decide.state import ScopeState, Spend
from schemas.catalog import Rule
from schemas.decision import Action, Decision
from schemas.rollout import Phase
from tests.processors.decide.world import (
    BIG,
    CHEAPER,
    LIMITS,
    MID,
    MODELS,
    NOON,
    PRICES,
    SCOPE,
    SMALL,
    World,
    deployment,
    minutes,
    policy,
    window,
)

FASTER = Rule(id="faster", name="faster", when=CHEAPER.when, then="faster_model")
FAILOVER = Rule(id="failover", name="failover", when=CHEAPER.when, then="failover")
FAST = {**MODELS, SMALL: replace(MODELS[SMALL], p95_latency_ms=500.0)}
DEAR = {**PRICES, SMALL: 12.0}  # faster, and dearer than today's 10


def rules(*given: Rule, **fields: Any) -> DecidePolicy:
    return policy(*given, models=FAST, prices=DEAR, **fields)


def after_a_burst(world: World) -> Decision:
    """The decision when a busy model was replaced within the hour, and little is asked since."""
    world.feed(*minutes(0, 9, serving=MID, requests=1_000))
    world.feed(deployment(-60, Phase.PROMOTED, BIG, stable=MID))
    return world.feed(*minutes(11, 35, requests=20))[-1]


@pytest.mark.parametrize(
    ("limits", "constraint", "period"),
    [
        ({"hourly_budget_usd": 80.0}, "hourly_budget_usd", "hour"),
        ({"daily_budget_usd": 80.0, "hourly_budget_usd": 1e6}, "daily_budget_usd", "day"),
    ],
)
def test_beyond_its_budget_a_scope_tries_nothing_that_does_not_save(
    limits: dict[str, float], constraint: str, period: str
) -> None:
    world = World(rules(FASTER, limits=replace(LIMITS, **limits)))
    state = ScopeState(scope=SCOPE)
    for n in range(10):
        state = spend(state, window(n, requests=1_000))

    (found,) = overspent(replace(LIMITS, **limits), state)

    assert (constraint, 80.0, 100.0) == (found.constraint, found.limit, found.value)
    assert (
        f"$100.00 of $80.00 are spent in this {period}: until it is over nothing is tried that "
        "does not save."
    ) == found.explanation

    decision = after_a_burst(world)

    assert Action.NONE is decision.action
    assert any("are spent in this" in reason for reason in decision.reasons)


def test_within_its_budget_the_same_scope_tries_what_is_faster() -> None:
    assert Action.DEPLOY is after_a_burst(World(rules(FASTER))).action


def test_beyond_its_budget_a_scope_may_still_save() -> None:
    limits = replace(LIMITS, hourly_budget_usd=80.0)
    world = World(policy(CHEAPER, limits=limits))

    assert Action.DEPLOY is after_a_burst(world).action


def test_beyond_its_budget_a_scope_may_still_leave_a_failing_provider() -> None:
    limits = replace(LIMITS, hourly_budget_usd=80.0)
    dear = {**PRICES, "two/far": 11.0}
    world = World(policy(FAILOVER, prices=dear, limits=limits))

    assert Action.DEPLOY is after_a_burst(world).action


def test_an_hour_and_a_day_begin_anew() -> None:
    state = ScopeState(scope=SCOPE)
    for n in (0, 59, 60, 1_439, 1_440):
        state = spend(state, window(n, requests=100))
    late = spend(state, window(5, requests=100))

    assert Spend(NOON + 1_440 * 60_000, 1_000_000) == state.hour
    assert Spend(NOON + 1_440 * 60_000, 1_000_000) == state.day
    assert late == state


def test_what_nobody_knows_the_cost_of_is_not_counted() -> None:
    state = spend(ScopeState(scope=SCOPE), window(0, cost=None))

    assert 0 == state.hour.micros if state.hour else False


def test_when_the_choice_fails_nothing_is_changed_and_it_says_so() -> None:
    odd = {**MODELS, SMALL: replace(MODELS[SMALL], quality="high")}
    world = World(policy(models=odd))
    decision = world.feed(*minutes(0, 20))[-1]

    assert (Action.NONE, None) == (decision.action, decision.chosen)
    assert decision.reasons[1].startswith("The choice of a model failed (TypeError: ")
    assert decision.reasons[1].endswith(", so nothing is changed.")


def test_when_the_choice_fails_the_rules_below_go_on() -> None:
    odd = {**MODELS, SMALL: replace(MODELS[SMALL], quality="high")}
    back = Rule(id="zz", name="zz", when=CHEAPER.when, then="rollback", priority="low")
    world = World(policy(replace(CHEAPER, priority="high"), back, models=odd))
    world.feed(deployment(0, Phase.RAMPING, SMALL))
    found = world.feed(*minutes(0, 20))

    assert Action.ROLLBACK in {decision.action for decision in found}

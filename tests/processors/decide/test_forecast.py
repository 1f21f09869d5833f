"""What a scope is served by now, and what another model is expected to do in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from processors.decide.mix import mix_of
from processors.decide.policy import DecidePolicy
from processors.decide.predict import predict, wilson
from processors.decide.state import ScopeState
from schemas.decision import Action
from schemas.rollout import Phase
from tests.processors.decide.world import (
    BIG,
    MID,
    NOON,
    SCOPE,
    SMALL,
    World,
    deployment,
    hour,
    minutes,
    model,
    policy,
    window,
)


def test_nothing_is_chosen_while_nobody_says_which_model_serves() -> None:
    world = World(policy())
    decision = world.feed(*(window(n) for n in range(20)))[-1]

    assert (Action.NONE, None) == (decision.action, decision.current)
    assert "No model is known to serve this scope." in decision.reasons


def test_the_model_that_serves_now_is_that_of_most_of_the_last_minutes() -> None:
    world = World(policy())
    world.feed(*minutes(0, 40, serving=MID), *minutes(40, 15, serving=SMALL))
    mix = mix_of(world.state.scopes[SCOPE])

    assert SMALL == mix.name


@pytest.mark.parametrize("cohort", ["candidate", "shadow"])
def test_the_candidate_of_a_rollout_is_not_what_serves(cohort: str) -> None:
    world = World(policy())
    world.feed(
        window(0, name=SMALL, cohort=cohort, requests=900),
        window(0, name=BIG, cohort="stable", requests=100),
        window(0, requests=1000),
    )

    assert BIG == mix_of(world.state.scopes[SCOPE]).name


def test_a_shadow_that_was_verified_is_over_and_changed_nothing() -> None:
    world = World(policy())
    world.feed(deployment(0, Phase.RAMPING), deployment(5, Phase.VERIFIED, sequence=2))
    state = world.state.scopes[SCOPE]

    assert (None, None, BIG) == (state.active, state.promoted_at, state.stable_model)


def forecast(p: DecidePolicy, *rows: object, name: str = SMALL) -> tuple[Any, Any]:
    world = World(p)
    world.feed(*minutes(0, 1), *rows)
    state = world.state.scopes[SCOPE]
    found = predict(p, state, mix_of(state), p.catalog.models[name], NOON)
    return found.predicted, found.pessimistic


def test_a_record_of_enough_requests_replaces_the_expectation() -> None:
    row = hour(SMALL, requests=2000, errors=20, timeouts=2, quality=70.0, latency=1500.0)
    predicted, worst = forecast(policy(), row)

    assert (0.01, 0.999, 70.0, 1500.0) == (
        predicted["error_rate"],
        predicted["availability"],
        predicted["quality"],
        predicted["p95_latency_ms"],
    )
    assert pytest.approx(wilson(20, 2000)) == worst["error_rate"]
    assert pytest.approx(1 - wilson(2, 2000)) == worst["availability"]
    assert pytest.approx(1500 * (1 + 0.2 / 2)) == worst["p95_latency_ms"]


def test_too_few_requests_leave_the_expectation_in_force() -> None:
    predicted, _ = forecast(policy(), hour(SMALL, requests=499, errors=300, quality=None))

    assert (0.002, 85.0, 1000.0) == (
        predicted["error_rate"],
        predicted["quality"],
        predicted["p95_latency_ms"],
    )


def test_open_hours_replace_each_other_and_closed_ones_add_up() -> None:
    rows = [
        hour(SMALL, requests=600, errors=60, closed=False),
        hour(SMALL, requests=1000, errors=60, closed=False, revision=2),
        hour(SMALL, requests=1000, errors=40, closed=True, revision=3),
        hour(SMALL, requests=1000, errors=900, closed=True, revision=4),  # of what is past
        hour(SMALL, requests=1000, errors=20, version="v3", closed=True),
    ]
    predicted, _ = forecast(policy(), *rows)

    assert 60 / 2000 == predicted["error_rate"]


def test_an_old_record_counts_less() -> None:
    old = hour(SMALL, requests=1000, errors=100)
    new = window(
        1380, name=SMALL, cohort="candidate", version="v2", size="1h", requests=1000, errors=0
    )
    predicted, _ = forecast(policy(), old, new)

    assert pytest.approx(50 / 1500) == predicted["error_rate"]


def test_a_scope_remembers_the_models_that_it_saw_last() -> None:
    world = World(policy())
    for n in range(80):
        world.feed(window(n * 60, name=f"one/m{n}", size="1h", cohort="stable"))
    seen = world.state.scopes[SCOPE].seen

    assert {f"one/m{n}" for n in range(16, 80)} == set(seen)


def test_tokens_in_the_cache_are_priced_as_such() -> None:
    state = ScopeState(scope=SCOPE)
    base = replace(mix_of(state), tokens_input=1000.0, tokens_output=100.0, cached_tokens=400.0)
    p = policy()
    entry = replace(p.catalog.prices[SMALL][0], cached_per_mtok=0.5)
    p = replace(p, catalog=replace(p.catalog, prices={SMALL: (entry,)}))

    assert (
        pytest.approx((600 * 2 + 400 * 0.5 + 100 * 2) / 1e6)
        == predict(p, state, base, model(SMALL, 85.0), NOON).predicted["cost_per_request_usd"]
    )

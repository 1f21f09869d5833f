from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from processors.actuate.version import versioned
from processors.decide.policy import DecidePolicy
from schemas.catalog import Rule, Strategy
from schemas.command import CommandKind
from schemas.config import LlmConfig
from schemas.decision import Action, Decision
from schemas.declare import declare, gather
from schemas.rollout import Phase, Verdict
from tests.processors.decide.world import (
    BIG,
    CHEAPER,
    FAR,
    LIMITS,
    MID,
    MODELS,
    NOON,
    PRICES,
    SCOPE,
    SMALL,
    World,
    command,
    deployment,
    minutes,
    policy,
)

FASTER = Rule(id="faster", name="faster", when=CHEAPER.when, then="faster_model")
FAILOVER = Rule(id="failover", name="failover", when=CHEAPER.when, then="failover")


def last(world: World, *records: object, **fields: Any) -> Decision:
    """The newest decision after 20 minutes of ordinary traffic."""
    return world.feed(*records, *minutes(0, 20, **fields))[-1]


def broken(decision: Decision, name: str) -> dict[str, float | None]:
    (candidate,) = [c for c in decision.candidates if c.config.model == name.split("/")[1]]
    return {violation.constraint: violation.value for violation in candidate.violations}


def test_the_cheapest_model_within_all_constraints_is_rolled_out() -> None:
    decision = last(World(policy()))
    chosen = versioned(LlmConfig(version="", provider="one", model="small"))

    assert (Action.DEPLOY, "balanced", chosen) == (
        decision.action,
        decision.strategy,
        decision.chosen,
    )
    assert LlmConfig(version="v1", provider="one", model="big") == decision.current
    assert ["small", "far", "mid"] == [c.config.model for c in decision.candidates]
    assert [True, True, True] == [c.feasible for c in decision.candidates]
    assert pytest.approx([0.8, 0.7, 0.4]) == [c.improvement for c in decision.candidates]


def test_a_decision_records_what_it_saw_and_would_be_made_again() -> None:
    decision = last(World(policy()))

    assert (1.0, "c0ffee", "cheaper", "medium", SCOPE) == (
        decision.propensity,
        decision.policy,
        decision.rule,
        decision.priority,
        decision.scope,
    )
    assert decision.inputs[0] == f"{SCOPE}|*|*|*|*|1m|{NOON}"
    assert pytest.approx(
        {
            "cost_per_request_usd": 0.01,
            "error_rate": 0.0,
            "minutes": 10.0,
            "newest.cost_per_request_usd": 0.01,
            "p95_latency_ms": 1000.0,
            "quality": 92.0,
            "requests": 1000.0,
            "requests_per_hour": 6000.0,
            "tokens_input": 800.0,
            "tokens_output": 200.0,
            "cached_tokens": 0.0,
        }
    ) == dict(decision.observed)
    assert decision.reasons[:2] == (
        "Rule cheaper holds: cost_per_request_usd > 0.005.",
        "one/small is the cheapest of 3 models within all constraints, of 3 weighed.",
    )


@pytest.mark.parametrize(
    ("missing", "constraints"),
    [
        ("quality", {"min_quality"}),
        ("p95_latency_ms", {"max_p95_latency_ms"}),
        ("error_rate", {"max_error_rate", "min_availability"}),
    ],
)
def test_no_evidence_is_not_a_pass(missing: str, constraints: set[str]) -> None:
    blank = replace(MODELS[SMALL], **{missing: None})
    decision = last(World(policy(models={**MODELS, SMALL: blank})))

    assert dict.fromkeys(constraints) == broken(decision, SMALL)
    assert decision.chosen is not None
    assert "far" == decision.chosen.model


def test_a_model_without_a_price_is_not_chosen() -> None:
    prices = {name: price for name, price in PRICES.items() if name != SMALL}
    decision = last(World(policy(prices=prices)))

    assert dict.fromkeys(
        (
            "daily_budget_usd",
            "hourly_budget_usd",
            "max_cost_per_request_usd",
            "min_improvement",
        )
    ) == broken(decision, SMALL)


@pytest.mark.parametrize(
    ("change", "limits", "constraint", "value"),
    [
        ({"quality": 79.9}, {}, "min_quality", 74.9),
        ({"p95_latency_ms": 2501.0}, {}, "max_p95_latency_ms", 3001.2),
        ({"error_rate": 0.06}, {"min_availability": 0.9}, "max_error_rate", 0.06),
        ({"error_rate": 0.01}, {}, "min_availability", 0.99),
        ({}, {"daily_budget_usd": 300.0}, "daily_budget_usd", 316.8),
        ({}, {"hourly_budget_usd": 13.0}, "hourly_budget_usd", 13.2),
        ({}, {"max_cost_per_request_usd": 0.0021}, "max_cost_per_request_usd", 0.0022),
        ({"capabilities": ("json",)}, {}, "capabilities", 1.0),
        ({"context_window": 999}, {}, "context_window", 1000.0),
    ],
)
def test_every_bound_is_checked_against_the_pessimistic_prediction(
    change: dict[str, Any], limits: dict[str, float], constraint: str, value: float
) -> None:
    models = {
        **MODELS,
        BIG: replace(MODELS[BIG], capabilities=("json", "tools")),
        SMALL: replace(MODELS[SMALL], **{"capabilities": ("json", "tools"), **change}),
    }
    decision = last(World(policy(models=models, limits=replace(LIMITS, **limits))))

    assert {constraint: pytest.approx(value)} == broken(decision, SMALL)


def test_constraints_are_checked_safety_first_and_preferences_last() -> None:
    worst = replace(MODELS[SMALL], quality=10.0, p95_latency_ms=9999.0, error_rate=0.5)
    limits = replace(
        LIMITS, hourly_budget_usd=1.0, daily_budget_usd=1.0, preferred_providers=("two",)
    )
    decision = last(World(policy(models={**MODELS, SMALL: worst}, limits=limits)))

    assert [
        "max_error_rate",
        "max_p95_latency_ms",
        "min_quality",
        "min_availability",
        "daily_budget_usd",
        "hourly_budget_usd",
        "preferred_providers",
    ] == list(broken(decision, SMALL))


def test_what_saves_too_little_is_not_worth_a_change() -> None:
    decision = last(World(policy(prices={BIG: 10.0, MID: 9.1, SMALL: 11.0, FAR: 10.0})))

    assert Action.NONE is decision.action
    assert {"min_improvement": pytest.approx(0.09)} == broken(decision, MID)
    assert "None of 3 models is within all constraints." == decision.reasons[1]


def test_a_preference_may_cost_a_little_and_vetoes_nothing() -> None:
    limits = replace(LIMITS, preferred_providers=("two",))
    near, far = (
        last(World(policy(limits=limits, prices={**PRICES, FAR: price}))) for price in (2.09, 2.11)
    )

    assert ("far", "small") == (
        near.chosen and near.chosen.model,
        far.chosen and far.chosen.model,
    )
    assert {"preferred_providers": 0.0} == broken(far, SMALL)


def test_disabled_and_foreign_models_are_not_weighed() -> None:
    models = {
        **MODELS,
        SMALL: replace(MODELS[SMALL], enabled=False),
        FAR: replace(MODELS[FAR], scopes=("shop",)),
    }
    decision = last(World(policy(models=models)))

    assert ["mid"] == [candidate.config.model for candidate in decision.candidates]


def test_a_model_that_was_rolled_back_is_not_tried_again() -> None:
    world = World(policy())
    taken_back = deployment(5, Phase.ROLLED_BACK, sequence=2, blamed=True)
    world.feed(deployment(0, Phase.RAMPING), taken_back)
    decision = world.feed(*minutes(0, 60))[-1]

    assert {"rolled_back": 1.0} == broken(decision, SMALL)
    assert decision.chosen is not None
    assert "far" == decision.chosen.model


@pytest.mark.parametrize(
    ("verdict", "noted"), [(Verdict.INCONCLUSIVE, ()), (Verdict.FAIL, (SMALL,))]
)
def test_a_model_that_nobody_found_worse_may_be_tried_again(
    verdict: Verdict, noted: tuple[str, ...]
) -> None:
    world = World(policy())
    world.feed(replace(deployment(0, Phase.ROLLED_BACK), verdict=verdict))

    assert noted == world.state.scopes[SCOPE].rolled_back


def test_it_is_weighed_again_once_another_model_is_stable() -> None:
    world = World(policy())
    taken_back = deployment(0, Phase.ROLLED_BACK, blamed=True)
    world.feed(taken_back, deployment(1, Phase.PROMOTED, MID, id_="r2"))
    decision = world.feed(*minutes(40, 20, serving=MID, cost=0.006))[-1]

    assert {} == broken(decision, SMALL)


def test_a_faster_model_is_the_cheapest_that_is_fast_enough() -> None:
    models = {
        **MODELS,
        MID: replace(MODELS[MID], p95_latency_ms=899.0, latency_margin=0.1),
        SMALL: replace(MODELS[SMALL], p95_latency_ms=901.0),
    }
    decision = last(World(policy(FASTER, models=models)))

    assert decision.chosen is not None
    assert "mid" == decision.chosen.model
    assert {"min_improvement": pytest.approx(0.099)} == broken(decision, SMALL)


def test_a_gain_that_is_smaller_than_its_doubt_is_not_enough() -> None:
    models = {BIG: MODELS[BIG], MID: replace(MODELS[MID], p95_latency_ms=895.0)}
    decision = last(World(policy(FASTER, models=models)))

    assert ["min_confidence"] == [violation.constraint for violation in decision.violations]


def test_a_failover_goes_to_another_provider_at_any_price() -> None:
    decision = last(World(policy(FAILOVER, prices={**PRICES, FAR: 12.0})))

    assert decision.chosen is not None
    assert ("two", "far") == (decision.chosen.provider, decision.chosen.model)
    assert ["far"] == [candidate.config.model for candidate in decision.candidates]


def test_a_failover_works_when_nobody_knows_what_today_costs() -> None:
    rule = replace(FAILOVER, when=replace(CHEAPER.when, metric="quality", value=1.0))
    limits = replace(LIMITS, approval_above_usd_per_day=1000.0)
    decision = last(World(policy(rule, limits=limits)), cost=None)

    assert Action.DEPLOY is decision.action


def test_a_cheaper_model_needs_to_know_what_today_costs() -> None:
    rule = replace(CHEAPER, when=replace(CHEAPER.when, metric="quality", value=1.0))
    decision = last(World(policy(rule)), cost=None)

    assert Action.NONE is decision.action
    assert {"min_improvement": None} == broken(decision, SMALL)


def test_with_no_other_provider_there_is_no_failover() -> None:
    models = {name: m for name, m in MODELS.items() if name != FAR}
    decision = last(World(policy(FAILOVER, models=models)))

    assert "The catalog has no other model of another provider for this scope." in decision.reasons


def test_a_decision_says_what_it_changes_the_cost_by_however_much_that_is() -> None:
    limits = replace(LIMITS, approval_above_usd_per_day=1000.0)
    decision = last(World(policy(limits=limits)), requests=100)

    assert (Action.DEPLOY, ()) == (decision.action, decision.violations)
    assert pytest.approx(-6000 * 24 * 0.008) == decision.impact_usd_per_day


def test_a_bound_that_is_barely_kept_is_not_trusted_by_a_careful_strategy() -> None:
    careful = Strategy(name="balanced", steps=(), min_confidence=0.95)
    base = policy(models={BIG: MODELS[BIG], SMALL: replace(MODELS[SMALL], quality=80.0)})
    careful_catalog = replace(base.catalog, strategies={"balanced": careful})
    bold, doubtful = (last(World(p)) for p in (base, replace(base, catalog=careful_catalog)))

    assert Action.DEPLOY is bold.action
    assert pytest.approx(0.9, abs=1e-6) == bold.confidence
    assert ["min_confidence"] == [violation.constraint for violation in doubtful.violations]


def test_price_data_that_is_not_installed_is_refused() -> None:
    with pytest.raises(ValueError, match="installed is"):
        replace(policy(), prices="other 1.0")


def test_the_default_catalog_finds_a_cheaper_model_than_the_dear_one() -> None:
    text = (Path(__file__).parents[3] / "infra" / "catalog" / "default.yaml").read_text()
    found = gather(declare(yaml.safe_load(text)), 0)
    world = World(DecidePolicy(catalog=found))
    dear = {"cost": 0.004, "requests": 15, "quality": 91.0}
    world.feed(*minutes(0, 40, serving="openai/gpt-4o", **dear))
    (decision,) = world.feed(command(CommandKind.TRIGGER))

    assert decision.chosen is not None
    assert "google/gemini-2.0-flash" == f"{decision.chosen.provider}/{decision.chosen.model}"
    assert {"min_quality"} == set(broken(decision, "openai/gpt-4.1-nano"))

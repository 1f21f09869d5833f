"""Constraints are checked against what analysis predicts, where the scope has no record itself."""

from __future__ import annotations

from typing import Any

import pytest

from processors.decide.mix import mix_of
from processors.decide.predict import Prediction, predict
from schemas.catalog import Condition, Metric, Rule
from schemas.decision import Action, Decision
from schemas.insight import Insight
from tests.processors.decide.world import (
    FAR,
    MID,
    NOON,
    SMALL,
    World,
    hour,
    insight,
    minutes,
    policy,
)
from tests.processors.decide.world import SCOPE as HERE

VALUES = {  # metric: value, low, high
    "cost_per_request_usd": (0.003, 0.002, 0.004),
    "error_rate": (0.01, 0.005, 0.02),
    "p95_latency_ms": (800.0, 700.0, 950.0),
    "quality": (88.0, 86.5, 89.5),
}


def foretold(metric: str, name: str = SMALL, n: int = 0, **fields: Any) -> Insight:
    value, low, high = VALUES[metric]
    return insight(
        "prediction",
        metric,
        n,
        tells=(name,),
        **{"subject": name, "value": value, "low": low, "high": high, **fields},
    )


def predicted(*records: object, name: str = SMALL) -> Prediction:
    p = policy()
    world = World(p)
    world.feed(*minutes(0, 1), *records)
    state = world.state.scopes[HERE]
    return predict(p, state, mix_of(state), p.catalog.models[name], NOON)


def test_a_prediction_takes_the_place_of_an_expectation_by_its_worse_end() -> None:
    found = predicted(*map(foretold, VALUES))

    assert {"availability": 0.99, **{m: v for m, (v, _, _) in VALUES.items()}} == found.predicted
    assert found.pessimistic == {
        "availability": 0.98,
        "cost_per_request_usd": 0.004,
        "error_rate": 0.02,
        "p95_latency_ms": 950.0,
        "quality": 86.5,
    }
    assert {m: f"{HERE}|prediction|{m}|1h|{SMALL}" for m in VALUES} == found.insights


@pytest.mark.parametrize(
    "fields",
    [
        {"holds": False},
        {"n": -12 * 60},
        {"subject": MID},
        {"low": None},
        {"low": float("nan")},
        {"value": float("inf")},
    ],
)
def test_what_does_not_tell_leaves_the_expectation_in_force(fields: dict[str, Any]) -> None:
    found = predicted(foretold("quality", **fields))

    assert predicted() == found
    assert {} == found.insights


def test_a_record_of_the_scope_itself_comes_before_a_prediction() -> None:
    row = hour(SMALL, requests=2000, errors=20, quality=70.0, latency=1500.0)
    found = predicted(row, *map(foretold, VALUES))

    assert {"cost_per_request_usd"} == set(found.insights)
    assert (0.01, 1500.0, 70.0) == tuple(
        found.predicted[name] for name in ("error_rate", "p95_latency_ms", "quality")
    )


def test_a_record_without_scores_and_latency_leaves_those_to_a_prediction() -> None:
    row = hour(SMALL, requests=2000, errors=20, quality=None, latency=None)
    found = predicted(row, *map(foretold, VALUES))

    assert {"cost_per_request_usd", "p95_latency_ms", "quality"} == set(found.insights)


def test_the_newest_of_two_predictions_counts() -> None:
    old = foretold("quality", n=-60, window="24h", value=10.0)

    assert 88.0 == predicted(foretold("quality"), old).predicted["quality"]


def test_what_no_choice_rests_on_is_left_out() -> None:
    asks = Condition(prediction=Metric.REQUESTS, model=SMALL, op=">", value=1.0)
    p = policy(Rule(id="asks", name="asks", when=asks))
    world = World(p)
    world.feed(*minutes(0, 1), insight("prediction", "requests", subject=SMALL))
    state = world.state.scopes[HERE]

    assert 1 == len(state.findings)
    assert {} == predict(p, state, mix_of(state), p.catalog.models[SMALL], NOON).insights


def decide(*records: object) -> Decision:
    return World(policy()).feed(*records, *minutes(0, 20))[-1]


def test_a_model_that_is_predicted_to_break_a_constraint_is_not_chosen() -> None:
    bad = foretold("quality", value=79.0, low=74.0, high=84.0)
    decision = decide(bad)
    (small,) = [c for c in decision.candidates if c.config.model == "small"]

    assert decision.chosen is not None
    assert "far" == decision.chosen.model
    assert ["min_quality"] == [violation.constraint for violation in small.violations]
    assert "Its quality could be 74.0 points" in small.violations[0].explanation
    assert bad.id in decision.inputs  # it was weighed by it, though not chosen


def test_a_decision_says_which_values_were_predicted() -> None:
    decision = decide(foretold("quality"), foretold("p95_latency_ms"))

    assert decision.chosen is not None
    assert "small" == decision.chosen.model
    assert (
        "Predicted from experience, by the worse end of the range, and not expected by the "
        "catalog: p95_latency_ms, quality."
    ) in decision.reasons


def test_where_nothing_is_possible_it_is_said_what_was_predicted() -> None:
    bad = {"value": 60.0, "low": 50.0, "high": 70.0}
    decision = decide(*(foretold("quality", name, **bad) for name in (SMALL, FAR, MID)))

    assert Action.NONE is decision.action
    assert all(
        reason.endswith("and not expected by the catalog: quality.")
        for reason in decision.reasons[2:]
    )
    assert 5 == len(decision.reasons)

"""What another model would give a scope."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from processors.analyze.stage.policy import AnalyzePolicy
from processors.analyze.stage.served import closed, gathered, levels
from processors.analyze.stage.state import Models, Offer
from schemas.insight import Insight
from schemas.rollout import Phase
from schemas.window import EnrichedWindow
from tests.processors.analyze.stage.world import (
    BEGIN,
    COST,
    POLICY,
    QUALITY,
    SCOPE,
    World,
    deployment,
    key,
    window,
)

HOUR = 3_600_000
SOON = replace(POLICY, turn=1)  # a prediction each minute


def hour(n: int, *keys: EnrichedWindow, scope: str = SCOPE) -> list[EnrichedWindow]:
    """The rows of an hour as it closes, and the minute after."""
    return [*keys, window(n, name="1h", scope=scope), window(60 * (n + 1), scope=scope)]


def of(insights: list[Insight], metric: str) -> list[Insight]:
    return [e for e in insights if e.kind.value == "prediction" and e.metric == metric]


def test_a_model_of_another_scope_is_predicted_by_its_price_on_the_mix_of_this_one() -> None:
    world = World(policy=SOON)
    world.feed(hour(0, key(0, "small", scope="other/one"), scope="other/one"))
    told = world.feed(hour(0, key(0, "big")))
    (cost,) = of(told, "cost_per_request_usd")

    assert "openai/small" == cost.subject
    assert f"{SCOPE}|prediction|cost_per_request_usd|1h|openai/small" == cost.id
    assert cost.reference == COST["big"]
    assert cost.low is not None
    assert cost.high is not None
    assert cost.low < COST["small"] < cost.high < COST["big"]
    assert "improving" == cost.direction
    assert "With openai/small the cost per request would be" in cost.sentence
    assert {"cost_per_request_usd", "p95_latency_ms", "quality", "error_rate"} == {
        each.metric for each in told if each.kind.value == "prediction"
    }


def test_what_a_change_came_to_elsewhere_makes_the_prediction_better() -> None:
    world = World(policy=SOON)
    for k in range(6):
        scope = f"other/s{k}"
        world.feed(
            hour(0, key(0, "big", scope=scope), key(0, "small", scope=scope, requests=500),
                 scope=scope)
        )  # fmt: skip
    (after,) = of(world.feed(hour(0, key(0, "big"))), "quality")
    fresh = World(policy=SOON)
    fresh.feed(hour(0, key(0, "small", scope="other/s0"), scope="other/s0"))
    (before,) = of(fresh.feed(hour(0, key(0, "big"))), "quality")

    assert abs(after.value - QUALITY["small"]) < 3 < abs(before.value - QUALITY["small"])
    assert after.confidence > before.confidence


def test_predictions_of_an_hour_are_said_once_and_again_when_they_move() -> None:
    world = World(policy=SOON)
    world.feed(hour(0, key(0, "small", scope="other/one"), scope="other/one"))
    first = of(world.feed(hour(0, key(0, "big"))), "cost_per_request_usd")
    same = of(world.feed([window(61), window(62)]), "cost_per_request_usd")
    moved = of(world.feed(hour(1, key(1, "big", cost=0.05))), "cost_per_request_usd")

    assert (1, 0, 1) == (len(first), len(same), len(moved))
    assert moved[0].revision > first[0].revision
    assert 0.05 == moved[0].reference


def test_a_model_that_becomes_the_one_that_is_served_is_not_predicted_any_more() -> None:
    world = World(policy=SOON)
    world.feed(hour(0, key(0, "small", scope="other/one"), scope="other/one"))
    world.feed(hour(0, key(0, "big")))
    told = of(world.feed(hour(1, key(1, "small"))), "quality")

    assert [("openai/big", True), ("openai/small", False)] == [(e.subject, e.holds) for e in told]
    assert "is not predicted any more" in told[1].sentence


def test_each_scope_has_its_turn_once_an_hour() -> None:
    world = World()
    world.feed([*hour(0, key(0, "small", scope="other/one"), scope="other/one")])
    world.feed([key(0, "big"), window(0, name="1h")])
    ends = {e.end for n in range(60, 240) for e in of(world.feed([window(n)]), "quality")}

    assert {BEGIN + HOUR} == ends


def test_an_outcome_counts_once_a_day_and_few_requests_are_none() -> None:
    world = World(policy=SOON)
    thin = key(0, "small", requests=99)
    world.feed(hour(0, key(0, "big"), thin))
    assert "*|memory" not in world.entries
    counts = []
    for n in (1, 2, 23, 26):
        world.feed(hour(n, key(n, "big"), key(n, "small", requests=500)))
        memory = world.state.entries["*|memory"].memory
        assert memory is not None
        counts.append(len(memory.outcomes))

    assert [1, 1, 1, 2] == counts


def test_late_rows_of_an_hour_that_is_over_and_open_ones_pass_by() -> None:
    world = World(policy=SOON)
    world.feed(hour(0, key(0, "big")))
    before = world.state
    world.feed([key(0, "big", revision=2, cost=9.0), key(1, "big", closed=False)])

    assert before is world.state


def test_nothing_is_predicted_for_a_scope_that_hardly_asks_or_has_no_hour() -> None:
    world = World(policy=SOON)
    world.feed(hour(0, key(0, "small", scope="other/one"), scope="other/one"))

    assert [] == of(world.feed(hour(0, key(0, "big", requests=99))), "quality")
    assert [] == of(World(policy=SOON).feed([window(0, name="1h"), window(60)]), "quality")
    assert [] == of(World(policy=SOON).feed([key(0, "big"), window(60)]), "quality")


def test_what_has_no_price_or_no_level_is_predicted_as_far_as_it_is_known() -> None:
    world = World(policy=SOON)
    free = replace(key(0, "small", scope="other/one"), price=None)
    world.feed(hour(0, free, scope="other/one"))
    told = world.feed(hour(0, key(0, "big", quality=None)))
    (cost,) = of(told, "cost_per_request_usd")

    assert [] == of(told, "quality")
    assert pytest.approx(cost.reference, rel=1e-3) == cost.value


def test_the_newest_offers_are_kept_and_the_newest_of_them_predicted() -> None:
    policy = replace(SOON, offers=3, candidates=1)
    world = World(policy=policy)
    for n in range(5):
        row = key(n, "small", scope="other/one")
        named = replace(row, window=replace(row.window, model=f"m{n}"))
        world.feed(hour(n, named, scope="other/one"))
    told = of(world.feed(hour(4, key(4, "big"))), "quality")
    offers = world.state.entries["*|offers"].offers

    assert ["openai/big", "openai/m3", "openai/m4"] == list(offers or {})
    assert ["openai/m4"] == [each.subject for each in told]


def test_an_offer_is_written_anew_when_its_price_changes_or_a_day_has_gone() -> None:
    world = World(policy=SOON)
    ats = []
    for n in (0, 5, 30):
        world.feed(hour(n, key(n, "big")))
        ats.append((world.state.entries["*|offers"].offers or {})["openai/big"].at)
    world.feed(hour(31, replace(key(31, "big"), price=None)))

    assert [BEGIN, BEGIN, BEGIN + 30 * HOUR] == ats
    assert {"openai/big": Offer("openai", "big", BEGIN + 31 * HOUR, None)} == (
        world.state.entries["*|offers"].offers
    )


def test_the_levels_of_a_model_are_those_of_all_its_versions_and_cohorts() -> None:
    models = Models()
    rows = [
        key(0, "big", requests=300, errors=3, latency=100.0, quality=90.0, scores=10, cost=0.01),
        key(0, "big", requests=100, errors=5, latency=300.0, quality=80.0, scores=30, cost=0.03,
            cohort="candidate"),
    ]  # fmt: skip
    for row in [rows[0], rows[1], rows[1]]:
        models = gathered(models, row)
    models, (found,) = closed(models, BEGIN, BEGIN + HOUR)
    told = levels(found)

    assert 400 == found.requests
    assert pytest.approx(8 / 400) == told["error_rate"].value
    assert pytest.approx(math.sqrt(9 / 402 * (1 - 9 / 402) / 400)) == told["error_rate"].error
    assert pytest.approx(150.0) == told["p95_latency_ms"].value
    assert pytest.approx(0.015) == told["cost_per_request_usd"].value
    assert pytest.approx((82.5, 5 / math.sqrt(40))) == tuple(told["quality"])
    assert (1_000.0, 200.0, 0.0) == found.tokens
    assert ((), found) == (models.parts, models.served[0])


def test_the_error_of_a_percentile_is_that_of_its_order_statistics() -> None:
    rng = np.random.default_rng(3)
    drawn = rng.exponential(100.0, (2_000, 400))
    values = np.quantile(drawn, [0.95, 0.9, 0.99], axis=1)
    row = key(0, "big", requests=400)
    p95, p90, p99 = (float(each.mean()) for each in values)
    latency = replace(row.window.metrics["latency_ms"], p90=p90, p95=p95, p99=p99)
    metrics = {**row.window.metrics, "latency_ms": latency}
    models = gathered(Models(), replace(row, window=replace(row.window, metrics=metrics)))
    _, (found,) = closed(models, BEGIN, BEGIN + HOUR)

    assert pytest.approx(values[0].std(), rel=0.4) == levels(found)["p95_latency_ms"].error


def test_what_nobody_knows_has_no_level() -> None:
    row = key(0, "big", requests=0, errors=0, latency=None, quality=None, cost=None)
    bare = replace(row, price=None, window=replace(row.window, metrics={}))
    _, (found,) = closed(gathered(Models(), bare), BEGIN, BEGIN + HOUR)
    wild = key(0, "big", latency=1e200, cost=math.inf)
    _, (other,) = closed(gathered(Models(), wild), BEGIN, BEGIN + HOUR)
    free = key(0, "big", cost=None, latency=None)
    _, (unpriced,) = closed(gathered(Models(), free), BEGIN, BEGIN + HOUR)

    assert {} == levels(found)
    assert {"error_rate", "quality"} == set(levels(other)) == set(levels(unpriced))
    assert (0.0, 0.0, 0.0) == found.tokens


def test_the_models_of_a_scope_are_bounded_and_restored() -> None:
    world = World(policy=AnalyzePolicy())
    for n in range(30):
        row = key(n, "big")
        named = replace(row, window=replace(row.window, model=f"m{n}"))
        event = deployment(n, 1, Phase.RAMPING)
        world.feed([event, *hour(n, named, key(n, "small", requests=500))])
    served = world.state.entries[f"{SCOPE}|models"].models
    state = world.state
    world.restart()

    assert served is not None
    assert 16 == len(served.served)
    assert ["small", "m29"] == sorted((e.model for e in served.served[:2]), reverse=True)
    assert state.entries.keys() == world.state.entries.keys()
    assert state == world.state

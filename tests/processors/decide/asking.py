"""Conditions that ask what analysis found, and what a scope says to them."""

from __future__ import annotations

from processors.decide import DecidePolicy
from processors.decide.condition import holds
from schemas.catalog import Condition, Metric, Rule
from schemas.insight import Insight
from tests.processors.decide.world import (
    SCOPE,
    SMALL,
    World,
    minute,
    policy,
)

P95, QUALITY, REQUESTS = Metric.P95_LATENCY_MS, Metric.QUALITY, Metric.REQUESTS
TREND = Condition(trend=P95, direction="degrading")
CHANGE = Condition(change_point=P95)
COMPARISON = Condition(comparison=P95)
FORECAST = Condition(forecast=P95, op=">", value=120.0, ahead_s=3 * 3600)
PREDICTION = Condition(prediction=P95, model=SMALL, op="<", value=800.0)
HOUR = 60  # minutes


def ask(when: Condition) -> DecidePolicy:
    return policy(Rule(id="asks", name="asks", when=when, cooldown_s=0, max_per_day=10**6))


def told(when: Condition, *insights: Insight, now: int = 1) -> bool | None:
    """What a rule makes of insights in the minute that ends *now* minutes after noon."""
    world = World(ask(when))
    world.feed(*insights, *minute(now - 1))
    return holds(world.policy, world.state.scopes[SCOPE], when)

"""Triggers, and scopes under them alone."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from bench.windows import summary
from processors.actuate.policy import ActuatePolicy
from schemas.alarm import Alarm
from schemas.report import RollbackReport
from schemas.trigger import Trigger
from schemas.window import MINUTE, EnrichedWindow

ERRORS = Trigger(id="errors", metric="error_rate", limit=0.1, severity="critical", within="changed")
SLOW = Trigger(id="slow", metric="p95_latency_ms", limit=2000.0, window_s=300, confirm_s=60)
POOR = Trigger(
    id="poor",
    metric="quality",
    limit=0.9,
    relative_to="baseline",
    window_s=600,
    severity="medium",
    mode="semi_automatic",
)
DEAR = Trigger(
    id="dear",
    metric="cost_per_request_usd",
    limit=2.0,
    relative_to="baseline",
    window_s=900,
    severity="low",
    mode="manual",
)
LONG = 10 * 3600  # a rung that no test leaves by itself


def having(world: ModuleType, *triggers: Trigger, **changes: Any) -> Any:
    """A scope under *triggers* alone: guardrails with margins that nothing reaches."""
    steps = tuple(replace(step, hold_s=LONG) for step in world.BALANCED.steps[:2])
    patient = replace(
        world.BALANCED,
        steps=(*steps, world.BALANCED.steps[2]),
        tolerance=1.0,
        error_margin=1.0,
        latency_margin=100.0,
        quality_margin=1.0,
        cost_margin=100.0,
    )
    catalog = replace(
        world.CATALOG,
        strategies={"balanced": patient, "at once": world.AT_ONCE},
        triggers={trigger.id: trigger for trigger in triggers},
    )
    return world.Play(policy=ActuatePolicy(catalog=catalog, critical_error_rate=1.0, **changes))


def told(row: EnrichedWindow, quality: float, cost: float) -> EnrichedWindow:
    """The row with scores about *quality* and with a cost of about *cost* a request."""
    n = row.window.requests
    scores = summary(quality + np.linspace(-5.0, 5.0, n), 1_000)
    costs = summary(cost * np.linspace(0.5, 1.5, n), 1_000_000_000)
    metrics = {**row.window.metrics, "quality": scores, "cost_usd": costs}
    return replace(row, window=replace(row.window, metrics=metrics), cost_usd=cost * n)


def judged(play: Any, minutes: int, quality: float, cost: float = 0.01, served: str = "") -> None:
    """Let minutes pass in which the candidate (or the version *served*) is so good and so dear."""
    for _ in range(minutes):
        rows = [
            told(row, quality, cost)
            if row.window.cohort == "candidate" or row.window.config_version == served
            else told(row, 90.0, 0.01)
            for row in play.rows(play.clock)
        ]
        play.feed(*rows)
        play.clock += MINUTE


def alarms(play: Any) -> list[Alarm]:
    return [emit.value for emit in play.emits if isinstance(emit.value, Alarm)]


def reports(play: Any) -> list[RollbackReport]:
    return [emit.value for emit in play.emits if isinstance(emit.value, RollbackReport)]


def promoted(world: ModuleType, *triggers: Trigger, **changes: Any) -> Any:
    """NEW was promoted in place of OLD a moment ago; settled."""
    play = having(world, *triggers, **changes)
    play.past()
    play.feed(told(world.row(play.clock - 15 * MINUTE, 5000, config=None, window="15m"), 90, 0.01))
    play.feed(world.deploy(at=play.clock, strategy="at once"))
    play.minutes(1)

    assert world.NEW == play.entry.stable
    return play


def failing(play: Any, rate: float = 0.3) -> None:
    """A minute in which the stable config fails so often."""
    rows = play.rows(play.clock)
    n = round(rows[0].window.requests * rate)
    window = rows[0].window
    bad = replace(window, errors=n, success=window.requests - n, error_units=tuple(range(n)))
    play.feed(replace(rows[0], window=bad), rows[1])
    play.clock += MINUTE

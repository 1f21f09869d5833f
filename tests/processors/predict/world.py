"""Scopes that change models over and over, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from processors.predict.history import Level, Outcome, Proposal, Setting
from processors.predict.scales import SCALES
from schemas.config import LlmConfig

DAY = 86_400_000
SCOPES, MODELS = 5, 6
ERROR = {"cost_per_request_usd": 0.02, "p95_latency_ms": 0.05, "quality": 1.0, "error_rate": 0.005}
START = {"cost_per_request_usd": -5.0, "p95_latency_ms": 6.5, "quality": 75.0, "error_rate": 0.15}


def config(model: int, temperature: float = 0.7) -> LlmConfig:
    """One of the models, of one of two providers."""
    return LlmConfig(
        version=f"{model}-{temperature}",
        provider=f"p{model % 2}",
        model=f"m{model}",
        temperature=temperature,
    )


def setting(model: int, temperature: float = 0.7) -> Setting:
    """The same with its price: each model costs 1.5 times the one before."""
    return Setting(config=config(model, temperature), cost=0.001 * 1.5**model)


def proposal(before: int = 0, after: int = 1, at: int = 0, **current: float) -> Proposal:
    """A change in the first scope, whose levels are known exactly."""
    return Proposal(
        scope="s0",
        at=at,
        before=setting(before),
        after=setting(after),
        current={metric: Level(value, 0.0) for metric, value in current.items()},
    )


def outcomes(seed: int, count: int, *, noise: float = 1.0) -> Iterator[Outcome]:
    """Random switches, one a day, in a world that *seed* names.

    On a metric's scale a level is a scope's, a model's and their interaction; dearer models have
    better scores. What is measured scatters by ERROR, and what a config does from stay to stay
    by as much times *noise*.
    """
    rng = np.random.default_rng(seed)
    levels = {
        metric: START[metric]
        + scale.spread
        * (
            rng.normal(size=(SCOPES, 1))
            + 0.7 * rng.normal(size=MODELS)
            + 0.3 * rng.normal(size=(SCOPES, MODELS))
        )
        for metric, scale in SCALES.items()
    }
    levels["cost_per_request_usd"] += np.log(1.5) * np.arange(MODELS)
    levels["quality"] += 2.0 * np.arange(MODELS) - 5.0
    serving = rng.integers(0, MODELS, SCOPES)
    for day in range(count):
        scope = int(rng.integers(0, SCOPES))
        before = int(serving[scope])
        after = int((before + rng.integers(1, MODELS)) % MODELS)
        serving[scope] = after
        measured = []
        for model in (before, after):
            found = {}
            for metric, scale in SCALES.items():
                value = scale.back(
                    levels[metric][scope, model] + (1 + noise) * ERROR[metric] * rng.normal()
                )
                found[metric] = Level(value, ERROR[metric] / scale.slope(value))
            measured.append(found)
        change = Proposal(
            scope=f"s{scope}",
            at=day * DAY,
            before=setting(before),
            after=setting(after),
            current=measured[0],
        )
        yield Outcome(proposal=change, reached=measured[1])

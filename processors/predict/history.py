"""Changes that were made, with what came of them, and one that is proposed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.config import LlmConfig


class Level(NamedTuple):
    """A metric of a scope under one config."""

    value: float
    error: float  # standard error, of the same unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A config in a scope."""

    config: LlmConfig
    cost: float | None = None  # USD per request by its price, on the scope's mix; None: no price


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A change of a scope's config, and what the scope has now."""

    scope: str
    at: int  # ms, event time
    before: Setting
    after: Setting
    current: Mapping[str, Level]  # by metric; absent: nobody knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a change came to."""

    proposal: Proposal
    reached: Mapping[str, Level]  # by metric, under the config after the change


@dataclass(frozen=True, slots=True)
class Tally:
    """How far off a method was."""

    count: float = 0.0  # predictions, faded
    squares: float = 0.0  # of their errors on the metric's scale, faded alike


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All that predictions are made of."""

    outcomes: tuple[Outcome, ...] = ()  # oldest first
    tallies: Mapping[str, Tally] = field(default_factory=dict)  # by "metric/method"
    scores: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """By metric: how many standard deviations predictions were off, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictPolicy:
    """How predictions are made."""

    half_life_ms: int = 30 * 86_400_000  # of what an outcome weighs
    kept: int = 200  # newest outcomes
    scored: int = 50  # newest scores of a metric, by which ranges are made: they get better
    compared: int = 30  # newest outcomes that make up the matrix of scopes and models
    fading: float = 0.98  # of a method's tally, with each outcome
    level: float = 0.9  # of the ranges
    draws: int = 4_000  # of a what-if
    weights: Mapping[str, float] = field(
        default_factory=lambda: {
            "cost_per_request_usd": 0.4,
            "quality": 0.3,
            "p95_latency_ms": 0.2,
            "error_rate": 0.1,
        }
    )
    """By metric: its part of the improvement."""

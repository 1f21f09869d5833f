"""What the optimizer decided, what it saw and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from schemas.config import LlmConfig


class Action(StrEnum):
    """What a decision asks the actuator to do."""

    DEPLOY = "deploy"  # roll the chosen config out by the named strategy
    ROLLBACK = "rollback"  # take the scope's rollout back
    ALERT = "alert"  # tell a person
    NONE = "none"  # recorded, nothing to do


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A constraint that a candidate would break, or a limit that holds the change back."""

    constraint: str
    limit: float
    value: float | None  # None: there is no evidence, which is not a pass
    explanation: str
    suggestion: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A configuration that was weighed."""

    config: LlmConfig
    predicted: Mapping[str, float]  # cost_per_request_usd, quality, p95_latency_ms, error_rate
    pessimistic: Mapping[str, float]  # the bound that the constraints were checked against
    feasible: bool
    improvement: float  # share of today's cost per request that it saves, −∞ to 1
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision, complete enough to be made again."""

    id: str
    scope: str
    at: int  # ms, event time
    rule: str
    priority: str  # critical, high, medium, low
    action: Action
    strategy: str  # a strategy of the catalog, "" when nothing is rolled out
    current: LlmConfig | None
    chosen: LlmConfig | None
    confidence: float
    propensity: float  # probability that this choice would be made again in the same state
    policy: str  # checksum of the catalog in force
    impact_usd_per_day: float | None = None  # predicted change of the cost; None: nobody knows
    observed: Mapping[str, float] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()  # record ids of what it saw
    candidates: tuple[Candidate, ...] = ()
    violations: tuple[Violation, ...] = ()
    reasons: tuple[str, ...] = ()  # sentences

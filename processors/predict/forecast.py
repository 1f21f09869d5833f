"""What a change would do, as it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One metric after a change, in its own unit."""

    current: float
    predicted: float
    low: float  # of the range that holds it at the policy's level
    high: float
    confidence: float
    """Share of the uncertainty, as a variance, of a change nothing is known of that is gone."""
    shares: Mapping[str, float]  # by method: what it weighed


@dataclass(frozen=True, slots=True)
class Risk:
    """What may go wrong, from 0.05 of a probability on."""

    metric: str
    probability: float  # that it gets worse than is allowed
    severity: Literal["low", "medium", "high"]
    description: str
    mitigation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """All that is predicted of a change."""

    scope: str
    metrics: Mapping[str, Expected]  # absent: the scope has no level of it now
    confidence: float  # of the least certain metric, 0 to 1; 0 when there is none
    improvement: float  # −1 to 1
    risks: tuple[Risk, ...]  # the most probable first
    factors: tuple[str, ...]  # sentences, the largest effect first
    similar: tuple[str, ...]  # sentences on past changes, the most alike first
    assumptions: tuple[str, ...]  # sentences

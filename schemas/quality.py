"""How good one answer was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityScore:
    """A score of one answer, 0 to 100, for the config and cohort that gave the answer."""

    timestamp: int
    service: str
    endpoint: str
    model: str
    provider: str
    overall: float
    dimensions: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 1.0
    method: str = "unknown"
    config_version: str | None = None
    cohort: str | None = None
    request_id: str | None = None
    unit_id: str | None = None

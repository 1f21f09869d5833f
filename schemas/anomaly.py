"""A value that its own past does not explain."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How far out, from worth a look to act now."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One metric of one scope in one window, outside what its past makes likely."""

    id: str  # scope|metric|window start
    scope: str
    metric: str
    window: str
    start: int  # ms
    end: int  # ms
    revision: int  # of the window that was judged
    is_anomaly: bool  # False withdraws an earlier revision
    severity: Severity
    confidence: float  # 0 to 1
    actual: float
    expected: float
    expected_low: float
    expected_high: float
    deviation: float  # signed, in robust standard deviations
    detector: str
    samples: int  # windows of the past that it was judged by

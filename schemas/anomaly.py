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


RANK = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A value of a dimension that moved with the metric; a hint, no proof."""

    dimension: str  # model, provider, version or cohort
    value: str
    share: float  # of the change; those of all values of a dimension add up to 1
    strength: float  # 0 to 1: how much of what the keys differ by it tells


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One metric of one scope in one window, outside what its past makes likely.

    One that was to be expected is no anomaly to anybody, and says why in `suppressed`.
    """

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
    detector: str  # robust_z, ensemble or several_minutes: what told it
    samples: int  # windows of the past that it was judged by
    causes: tuple[Cause, ...] = ()  # the likeliest first
    incident: str = ""  # scope|start of its first anomaly; the same for all that belong together
    suppressed: str = ""  # why it was to be expected, and is not told

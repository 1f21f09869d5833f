"""What the detector watches, and when it speaks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Literal

from schemas.anomaly import Severity
from schemas.catalog import Metric

Side = Literal["up", "down", "both"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One metric, and how little of a change is never worth a word."""

    metric: Metric
    bad: Side  # the side that is judged
    enough: int  # observations (requests, scores) in a window, for it to be judged and learnt
    floor: float  # least spread; of a ratio as a share of the median, else in the metric's unit
    ratio: bool = False  # judged by its logarithm: doubling is as far as halving
    least: float = 0.0  # of a ratio: what is less is taken for this, so that zero has a logarithm
    low: float = 0.0  # the metric's own range
    high: float = inf


WATCHES = (
    Watch(metric=Metric.P95_LATENCY_MS, bad="up", enough=20, floor=0.05, ratio=True, least=0.1),
    Watch(metric=Metric.ERROR_RATE, bad="up", enough=20, floor=0.005, high=1.0),
    Watch(
        metric=Metric.COST_PER_REQUEST_USD, bad="up", enough=20, floor=0.05, ratio=True, least=1e-9
    ),
    Watch(metric=Metric.QUALITY, bad="down", enough=5, floor=1.0, high=100.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectPolicy:
    """How a value is judged by the scope's own past.

    Raises:
        ValueError: a number that cannot work.
    """

    watches: tuple[Watch, ...] = WATCHES
    history: int = 60  # windows of the past that are kept
    minimum: int = 20  # windows of the past that a judgement needs
    ladder: tuple[float, ...] = (4.0, 6.0, 9.0, 14.0)  # robust σ of low, medium, high, critical
    quiet_ms: int = 300_000  # an alarm is not repeated sooner, unless it got more severe
    clip: float = 4.0  # σ beyond which a value enters the past as if it were there
    cap: float = 50.0  # σ beyond which no difference is made
    memory_ms: int = 900_000  # how long a judgement can still be revised

    def __post_init__(self) -> None:
        """Refuse what would never, or always, be an alarm."""
        if len(self.ladder) != len(Severity) or any(b <= a for a, b in pairwise(self.ladder)):
            raise ValueError(f"ladder is {self.ladder}; give four rising numbers of σ")
        if not 0 < self.ladder[0] <= self.cap or self.clip <= 0:
            raise ValueError("the first rung and clip must be above 0, cap above the first rung")
        if not 2 <= self.minimum <= self.history:
            raise ValueError("minimum must be at least 2 and at most history")


def severity_of(policy: DetectPolicy, sigmas: float) -> Severity | None:
    """The rung that *sigmas* (of the bad side, positive) reaches; None below the first.

    >>> severity_of(DetectPolicy(), 7.5)
    <Severity.MEDIUM: 'medium'>
    """
    rung = sum(sigmas >= step for step in policy.ladder)
    return tuple(Severity)[rung - 1] if rung else None

"""What the detector watches, and when it speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import Literal

import numpy as np
import numpy.typing as npt

from processors.detect.layout import HISTORY, LARGEST, PLACES, SLOTS
from processors.detect.series import SeriesPolicy
from processors.detect.suppress import Recurring
from schemas.anomaly import Severity
from schemas.catalog import Metric, Signal
from schemas.scope import covering
from schemas.window import MINUTE

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Side = Literal["up", "down", "both"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One metric, and how little of a change is never worth a word."""

    metric: Metric | Signal
    bad: Side  # the side that is judged
    enough: int  # observations (requests, scores) in a window, for it to be judged and learnt
    floor: float  # least spread; of a ratio as a share of the median, else in the metric's unit
    ratio: bool = False  # judged by its logarithm: doubling is as far as halving
    root: bool = False  # judged by its square root: a count is as noisy at any height
    least: float = 0.0  # of a ratio: what is less is taken for this, so that zero has a logarithm
    low: float = 0.0  # the metric's own range
    high: float = inf
    novel: bool = True  # the ensemble listens, too
    summed: bool = True  # minutes are added up, too


WATCHES = (
    Watch(metric=Metric.P95_LATENCY_MS, bad="up", enough=20, floor=0.05, ratio=True, least=0.1),
    # Errors come in sessions that last for minutes: one minute's are not news beside the last's.
    Watch(metric=Metric.ERROR_RATE, bad="up", enough=20, floor=0.005, high=1.0, summed=False),
    Watch(
        metric=Metric.COST_PER_REQUEST_USD, bad="up", enough=20, floor=0.05, ratio=True, least=1e-9
    ),
    Watch(metric=Metric.QUALITY, bad="down", enough=5, floor=1.0, high=100.0),
    # Twice what the root of a Poisson number strays, whatever its mean.
    Watch(metric=Metric.REQUESTS, bad="both", enough=1, floor=1.0, root=True, novel=False),
    *(
        Watch(metric=each, bad="up", enough=20, floor=0.1, ratio=True, least=0.1, novel=False)
        for each in (Metric.P50_LATENCY_MS, Signal.P95_TTFT_MS)
    ),
    Watch(metric=Signal.CACHED_SHARE, bad="down", enough=20, floor=0.02, high=1.0, novel=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectPolicy:
    """How a value is judged by the scope's own past.

    Raises:
        ValueError: a number that cannot work.
    """

    watches: tuple[Watch, ...] = WATCHES
    sensitivity: float = 0.5  # 0, only what is beyond doubt, to 1, whatever is odd
    history: int = HISTORY  # windows of the past that are kept
    minimum: int = 20  # windows of the past that a judgement needs
    ladder: tuple[float, ...] = (5.0, 7.0, 10.0, 15.0)  # robust σ of low to critical, see `rungs`
    quiet_ms: int = 300_000  # an alarm is not repeated sooner, unless it got more severe
    clip: float = 4.0  # σ beyond which a value enters the past as if it were there
    cap: float = 50.0  # σ beyond which no difference is made
    memory_ms: int = SLOTS * MINUTE  # how long a judgement can still be revised
    daily: float = 0.025  # how far a value moves what is usual at its time of the day
    ensemble: SeriesPolicy = field(
        default_factory=lambda: SeriesPolicy(places=PLACES, largest=LARGEST)
    )
    heard: float = 2.0  # σ on the bad side, for the ensemble and for sums to be listened to
    spans: tuple[int, ...] = (3, 8, 15)  # minutes that are added up
    shared: float = 0.1  # of the variance of a value, what it has in common with its neighbours
    looks: float = 1.03  # that sums are divided by, as the largest of several is told
    least: int = 3  # values that are a sum
    scores: tuple[float, float] = (8.0, 14.0)  # of low and medium, see `first_score`
    settle_ms: int = 1_800_000  # how long after a move of a rollout its effect is expected
    gap_ms: int = 600_000  # between anomalies of one incident
    half: float = 15.0  # windows in which the past of a key forgets one half
    keys: int = 6  # of a scope, whose part in a change is known
    hints: int = 5  # causes that are told
    recurring: Mapping[str, tuple[Recurring, ...]] = field(default_factory=dict)  # by scope

    def __post_init__(self) -> None:
        """Refuse what would never, or always, be an alarm."""
        if len(self.ladder) != len(Severity) or any(b <= a for a, b in pairwise(self.ladder)):
            raise ValueError(f"ladder is {self.ladder}; give four rising numbers of σ")
        if not 0 < self.ladder[0] <= self.cap or self.clip <= 0:
            raise ValueError("the first rung and clip must be above 0, cap above the first rung")
        if not 2 <= self.minimum <= self.history <= HISTORY:
            raise ValueError(
                f"minimum must be at least 2 and at most history, history at most {HISTORY}"
            )
        if not 0 < self.scores[0] <= self.scores[1]:
            raise ValueError(f"scores are {self.scores}; give two numbers above 0 that do not fall")
        if not 0 <= self.sensitivity <= 1 or not 0 <= self.daily <= 1:
            raise ValueError("sensitivity and daily lie between 0 and 1")
        if not 0 < self.memory_ms <= SLOTS * MINUTE:
            raise ValueError(f"memory_ms must be above 0 and at most {SLOTS * MINUTE}")
        if (self.ensemble.places, self.ensemble.largest) != (PLACES, LARGEST):
            raise ValueError(f"the ensemble has {PLACES} places and {LARGEST} largest, as stored")
        if self.half <= 0 or self.keys < 0 or self.hints < 0:
            raise ValueError("half must be above 0, keys and hints not below")
        self._sums()

    def _sums(self) -> None:
        if not self.spans or not all(2 <= span <= SLOTS for span in self.spans):
            raise ValueError(f"spans are {self.spans}; give some of 2 to {SLOTS} minutes")
        if self.shared < 0 or self.looks < 1 or self.least < 2:
            raise ValueError("shared must not be below 0, looks not below 1, least not below 2")

    @property
    def strictness(self) -> float:
        """What every threshold is multiplied by: 2 at sensitivity 0, 1 at ½, ½ at 1."""
        return float(2.0 ** (1 - 2 * self.sensitivity))

    @property
    def rungs(self) -> tuple[float, ...]:
        """The robust σ from which a value is of low, medium, high and critical severity."""
        return tuple(self.strictness * rung for rung in self.ladder)

    @property
    def first_score(self) -> float:
        """The score from which the ensemble's word is heard; its severity is low."""
        return self.strictness * self.scores[0]

    @property
    def second_score(self) -> float:
        """The score from which it is of medium severity."""
        return self.strictness * self.scores[1]

    def recurring_in(self, scope: str) -> tuple[Recurring, ...]:
        """The events that are known of *scope*, its service, and all."""
        return tuple(each for name in covering(scope) for each in self.recurring.get(name, ()))


def rung_of(policy: DetectPolicy, sigmas: Floats) -> Ints:
    """The rungs that *sigmas* [N] (of the bad side, positive) reach; NEVER below the first.

    >>> rung_of(DetectPolicy(), np.array([4.0, 7.5])).tolist()
    [-1, 1]
    """
    return np.searchsorted(policy.rungs, sigmas, "right") - 1

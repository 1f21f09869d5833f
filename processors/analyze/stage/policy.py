"""What the analysis looks at, how often, and what it takes for it to speak."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from processors.analyze.baseline import BaselinePolicy
from processors.analyze.change_points import Segmenting
from processors.analyze.forecast import FEWEST as FORECASTABLE
from processors.analyze.samples import FEWEST as COMPARABLE
from processors.analyze.trend import Good
from processors.analyze.trend.mann_kendall import FEWEST as TRENDING
from processors.predict.history import PredictPolicy
from schemas.catalog import Metric
from schemas.window import SIZES


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A metric, and when a window tells of it."""

    metric: Metric
    good: Good
    enough: int  # observations (requests, scores) in a window; of fewer its value is a gap


MEASURES = (
    Measure(metric=Metric.P95_LATENCY_MS, good=Good.DOWN, enough=20),
    Measure(metric=Metric.ERROR_RATE, good=Good.DOWN, enough=20),
    Measure(metric=Metric.COST_PER_REQUEST_USD, good=Good.DOWN, enough=20),
    Measure(metric=Metric.QUALITY, good=Good.UP, enough=5),
    Measure(metric=Metric.REQUESTS, good=Good.NEITHER, enough=0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One resolution.

    Raises:
        ValueError: A number that cannot work.
    """

    window: str  # a name of SIZES
    kept: int  # windows
    least: int  # of them, for a trend or a change
    steps: tuple[int, ...]  # windows ahead that are forecast
    every: int = 1  # windows from one look to the next; scopes take turns

    def __post_init__(self) -> None:
        """Refuse spans in which nothing could ever be seen."""
        if self.window not in SIZES:
            raise ValueError(f"{self.window!r} is no window; there are {', '.join(SIZES)}")
        if self.every < 1 or not TRENDING <= self.least <= self.kept:
            raise ValueError(
                f"every must be at least 1, least at least {TRENDING} and at most kept"
            )
        if not self.steps or self.steps[0] < 1 or any(b <= a for a, b in pairwise(self.steps)):
            raise ValueError(f"steps are {self.steps}; give rising numbers of windows, from 1")
        if self.kept < self.foreseeable:
            raise ValueError(f"kept must be at least {self.foreseeable} to forecast these steps")

    @property
    def length(self) -> int:
        """Of a window, ms."""
        return SIZES[self.window]

    @property
    def foreseeable(self) -> int:
        """Windows that a forecast needs."""
        return max(FORECASTABLE, 2 * self.steps[-1])


MINUTES = Span(window="1m", kept=120, least=30, steps=(1, 5, 15), every=5)
HOURS = Span(window="1h", kept=192, least=24, steps=(1, 6, 24))
DAYS = Span(window="24h", kept=60, least=10, steps=(1, 3, 7))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzePolicy:
    """How a scope's past is looked at.

    Raises:
        ValueError: A number that cannot work.
    """

    measures: tuple[Measure, ...] = MEASURES
    minutes: Span = MINUTES
    hours: Span = HOURS
    days: Span = DAYS
    filled: float = 0.5  # most of a series that may be gaps, which lie on lines between neighbours
    sure: float = 0.01  # that all of a scope's trends, or comparisons with a baseline, are chance
    surer: float = 0.001  # the same of a change, which is looked for anew in every minute's noise
    level: float = 0.9  # of the ranges of forecasts
    little: float = 0.01  # of the level before: a change that is smaller is none
    moved: float = 0.5  # of a range's width: a value that moved by less is not said again
    again: float = 0.5  # of the time for which an insight tells: then what still holds is repeated
    settled: float = 0.25  # oldest part of a span, in which changes are not judged again
    segmenting: Segmenting = field(default_factory=Segmenting)
    slack: float = 0.5  # of the sums that say whether it pays to look for a change, in deviations
    limit: float = 6.0  # of them
    events: int = 32  # newest deployments that are kept
    likely: float = 0.05  # least share of the belief of a cause that is worth a word
    baselines: BaselinePolicy = field(default_factory=BaselinePolicy)
    compared: int = 24  # newest hours that are compared with baselines
    before: int = 60  # minutes before a rollout, and after its promotion, that are compared
    snapshots: int = 3  # newest rollouts whose minutes before are kept
    turn: int = 60  # minutes from one prediction of a scope to the next; scopes take turns
    served: int = 100  # requests of an hour, for a model to have done something in it
    again_ms: int = 86_400_000  # before the same change counts as an outcome again
    offers: int = 64  # newest models that are known
    candidates: int = 4  # of them that are predicted, for each scope
    predicting: PredictPolicy = field(default_factory=PredictPolicy)

    def __post_init__(self) -> None:
        """Refuse what would never, or always, be said."""
        if not self.measures or len({each.metric for each in self.measures}) < len(self.measures):
            raise ValueError("measures must be of one metric each, and at least one")
        windows = [each.window for each in self.spans]
        if windows != ["1m", "1h", "24h"]:
            raise ValueError(f"minutes, hours and days are of {', '.join(windows)}")
        shares = (self.filled, self.sure, self.surer, self.level, self.settled, self.likely)
        if not all(0.0 < each < 1.0 for each in (*shares, self.again)):
            raise ValueError(
                "filled, sure, surer, level, settled, likely and again must lie between 0 and 1, "
                "exclusive"
            )
        if min(self.little, self.moved, self.slack, self.limit) <= 0.0:
            raise ValueError("little, moved, slack and limit must be above 0")
        whole = (self.events, self.snapshots, self.turn, self.served, self.again_ms)
        if min(*whole, self.offers, self.candidates) < 1:
            raise ValueError(
                "events, snapshots, turn, served, again_ms, offers and candidates "
                "must be at least 1"
            )
        if not COMPARABLE <= self.compared <= self.hours.kept:
            raise ValueError(f"compared must be at least {COMPARABLE} and at most the hours kept")
        if not COMPARABLE <= self.before <= self.minutes.kept // 2:
            raise ValueError(
                f"before must be at least {COMPARABLE} and at most half of the minutes kept"
            )

    @property
    def spans(self) -> tuple[Span, ...]:
        """The resolutions, the finest first."""
        return self.minutes, self.hours, self.days

    @property
    def columns(self) -> tuple[str, ...]:
        """The metrics, as a past holds them."""
        return tuple(each.metric.value for each in self.measures)

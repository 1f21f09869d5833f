"""Is a metric improving, degrading, stable, or can nobody tell?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from processors.analyze.season import decompose, period_of
from processors.analyze.trend.mann_kendall import FEWEST, mann_kendall

Floats = npt.NDArray[np.float64]

MOST = 1_024  # points that are compared pair by pair; of more, blocks are averaged
BAD = re.compile(
    r"latenc|ttft|duration|delay|wait|^time$|^ms$|second|cost|price|usd|spend|error|fail|fault|timeout"
    r"|retr|^lag$|loss|hallucinat|toxic|^p\d\d$"
)
FINE = re.compile(
    r"qualit|score|success|accura|availab|throughput|uptime|rating|satisf|^pass|correct|relevan"
    r"|helpful|^f1$|recall|precision"
)


class Good(StrEnum):
    """Which way is good for a metric."""

    UP = "up"
    DOWN = "down"
    NEITHER = "neither"  # or nobody knows


class Direction(StrEnum):
    """Where a metric goes."""

    IMPROVING = "improving"
    DEGRADING = "degrading"
    RISING = "rising"  # and nobody knows whether that is good
    FALLING = "falling"
    STABLE = "stable"  # known to change by next to nothing
    INCONCLUSIVE = "inconclusive"  # it may change, or not


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendPolicy:
    """When a trend counts, and when it is next to nothing.

    Raises:
        ValueError: A number that cannot work.
    """

    level: float = 0.95  # of the interval; a trend counts at 1 − level
    little: float = 0.05  # of the level of the series, over all of it: stable, unless it counts
    least: float = 0.01  # the same of a trend that counts

    def __post_init__(self) -> None:
        """Refuse what is no level, and a change that is none."""
        if not 0.5 <= self.level < 1.0 or not 0.0 <= self.least <= self.little:
            raise ValueError("level must lie in [0.5, 1), least between 0 and little")


@dataclass(frozen=True, slots=True)
class Trend:
    """The trend of a series, without what repeats in it."""

    direction: Direction
    good: Good
    slope: float  # for each unit of time
    low: float  # of its interval
    high: float
    change: float  # slope times the length of the series
    relative: float | None  # the change by the median of the series; None where that is 0
    p: float  # of no trend
    inflation: float  # of the variance, by autocorrelation
    period: int | None  # points after which the series repeats

    @property
    def confidence(self) -> float:
        """That the trend is not by chance: 1 − p."""
        return 1.0 - self.p


def good_of(name: str) -> Good:
    """Which way is good, by the words in a metric's name.

    >>> good_of("p95_latency_ms"), good_of("successRate"), good_of("requests")
    (<Good.DOWN: 'down'>, <Good.UP: 'up'>, <Good.NEITHER: 'neither'>)
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    words = re.split(r"[^a-z0-9]+", apart.lower())
    bad, fine = (any(map(known.search, words)) for known in (BAD, FINE))
    if bad == fine:
        return Good.NEITHER
    return Good.DOWN if bad else Good.UP


def way(good: Good, *, higher: bool) -> Direction:
    """What it means for a metric to become higher, or lower.

    >>> way(Good.DOWN, higher=True), way(Good.NEITHER, higher=False)
    (<Direction.DEGRADING: 'degrading'>, <Direction.FALLING: 'falling'>)
    """
    if good is Good.NEITHER:
        return Direction.RISING if higher else Direction.FALLING
    return Direction.IMPROVING if higher == (good is Good.UP) else Direction.DEGRADING


def trend(
    times: Floats, values: Floats, good: Good = Good.NEITHER, policy: TrendPolicy | None = None
) -> Trend:
    """The trend of a series over all of its time.

    What repeats is taken off; then the test of Mann and Kendall, corrected for autocorrelation,
    with Sen's slope (`mann_kendall`). A slope that counts is improving or degrading by what is good
    for the metric. One that does not is stable where its whole interval is little, and inconclusive
    otherwise; and one that counts but is next to nothing with all of its interval is stable, too.

    Args:
        times: [n], rising.
        values: [n], at least 8, finite.
        good: Which way is good.
        policy: When a trend counts.

    Raises:
        ValueError: Fewer than eight values.
    """
    policy = policy or TrendPolicy()
    period = period_of(values)
    plain = values if period is None else values - decompose(values, period).season
    block = max(1, -(-values.size // MOST))
    n = values.size // block
    if n >= FEWEST and block > 1:
        times, plain = (each[: n * block].reshape(n, block).mean(axis=1) for each in (times, plain))
    found = mann_kendall(times, plain, policy.level)
    length = float(times[-1] - times[0])
    middle = float(np.median(values))
    spread = float(np.median(np.abs(values - middle)))
    counts = found.p <= 1.0 - policy.level
    reach = max(abs(found.low), abs(found.high)) * length
    if reach <= (policy.least if counts else policy.little) * max(abs(middle), spread):
        direction = Direction.STABLE
    elif not counts:
        direction = Direction.INCONCLUSIVE
    else:
        direction = way(good, higher=found.slope > 0.0)
    change = found.slope * length
    return Trend(
        direction=direction,
        good=good,
        slope=found.slope,
        low=found.low,
        high=found.high,
        change=change,
        relative=change / abs(middle) if middle else None,
        p=found.p,
        inflation=found.inflation,
        period=period,
    )

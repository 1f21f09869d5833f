"""Is a metric improving, degrading, stable, or can nobody tell?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from processors.analyze.season import deseasonalized
from processors.analyze.trend.mann_kendall import FEWEST, MannKendall, mann_kendalls

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
    plain, period = deseasonalized(values)
    return trends(times, values[None], plain[None], [period], [good], policy)[0]


def trends(
    times: Floats,
    values: Floats,
    plain: Floats,
    periods: Sequence[int | None],
    good: Sequence[Good],
    policy: TrendPolicy | None = None,
) -> list[Trend]:
    """`trend` of each of several series of the same times.

    Args:
        times: [n], rising.
        values: [r, n].
        plain: [r, n], the same without what repeats.
        periods: [r], after how many points each repeats, if it does.
        good: [r], which way is good.
        policy: When a trend counts.

    Raises:
        ValueError: Fewer than eight values.
    """
    policy = policy or TrendPolicy()
    block = max(1, -(-times.size // MOST))
    n = times.size // block
    if n >= FEWEST and block > 1:
        times = times[: n * block].reshape(n, block).mean(axis=1)
        plain = plain[:, : n * block].reshape(-1, n, block).mean(axis=2)
    length = float(times[-1] - times[0])
    middles = np.median(values, axis=1)
    spreads = np.median(np.abs(values - middles[:, None]), axis=1)
    return [
        _trend(found, period, which, length, (middle, spread), policy)
        for found, period, which, middle, spread in zip(
            mann_kendalls(times, plain, policy.level),
            periods,
            good,
            middles.tolist(),
            spreads.tolist(),
            strict=True,
        )
    ]


def _trend(
    found: MannKendall,
    period: int | None,
    good: Good,
    length: float,
    level: tuple[float, float],
    policy: TrendPolicy,
) -> Trend:
    middle, spread = level
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

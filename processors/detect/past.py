"""How far a value lies from its own past, in robust standard deviations."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt
from typing import NamedTuple

from processors.detect.policy import DetectPolicy, Watch
from schemas.catalog import Metric

MAD_TO_SIGMA = 1.4826  # 1 / Φ⁻¹(3/4): makes the MAD of a normal sample estimate its σ


class Past(NamedTuple):
    """What a series was like before a window, on its scale (a tuple: stored without names)."""

    median: float
    spread: float  # robust σ of the values, no noise of this window in it
    weight: float  # median number of observations behind a value
    samples: int


def scaled(watch: Watch, value: float) -> float:
    """*value* on the scale that it is judged on: a ratio's logarithm, else itself."""
    return log(max(value, watch.least)) if watch.ratio else value


def natural(watch: Watch, x: float) -> float:
    """The way back from `scaled`, into the metric's own range."""
    return max(watch.low, min(watch.high, exp(x) if watch.ratio else x))


def summarize(watch: Watch, values: Sequence[float], weights: Sequence[int]) -> Past:
    """Median and MAD of at least one past value.

    Args:
        watch: Gives the least spread.
        values: On the metric's scale.
        weights: Observations (requests, scores) behind each value.
    """
    median = middle(values)
    mad = middle([abs(value - median) for value in values])
    spread = max(MAD_TO_SIGMA * mad, watch.floor)
    return Past(median, spread, middle(weights), len(values))


def middle(values: Sequence[float]) -> float:
    """The median; of an even number the mean of the two in the middle.

    >>> middle([4, 1, 3])
    3.0
    """
    ordered = sorted(values)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return float(ordered[half])
    return (ordered[half - 1] + ordered[half]) / 2


def sigma(watch: Watch, past: Past, weight: int) -> float:
    """The standard deviation to expect of a value from *weight* observations.

    A window thinner than usual is noisier by √(usual / its own). An error rate has the noise of a
    binomial share on top, at a rate no lower than one error in this window, so that a single error
    of few requests is no news.
    """
    if watch.metric is Metric.ERROR_RATE:
        rate = min(max(past.median, 1 / weight), 0.5)
        return sqrt(past.spread**2 + rate * (1 - rate) / weight)
    return past.spread * sqrt(max(1.0, past.weight / weight))


def deviation(policy: DetectPolicy, watch: Watch, past: Past, value: float, weight: int) -> float:
    """Signed distance of *value* (on its scale) from the median in σ, capped on both sides.

    Robust z-score: Iglewicz & Hoaglin, How to Detect and Handle Outliers, ASQC 1993.
    """
    z = (value - past.median) / sigma(watch, past, weight)
    return max(-policy.cap, min(policy.cap, z))


def badness(watch: Watch, z: float) -> float:
    """How far *z* is out on the side that is bad; negative on the other side."""
    return {"up": z, "down": -z, "both": abs(z)}[watch.bad]


def confidence(z: float) -> float:
    """That a value *z* σ out is not by chance, whatever the shape, if it has one peak.

    The bound of Vysochanskij & Petunin, Theory Prob. Math. Stat. 21 (1980): at most 4 / (9 z²)
    lies further out than z > √(8/3). It is looser than a normal tail on purpose.

    >>> round(confidence(-4.0), 4)
    0.9722
    """
    return max(0.0, 1 - 4 / (9 * z * z)) if z else 0.0

"""How far values lie from their own past, in robust standard deviations."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from processors.detect.policy import Watch
from schemas.catalog import Metric

MAD_TO_SIGMA = 1.4826  # 1 / Φ⁻¹(3/4): makes the MAD of a normal sample estimate its σ

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Scales(NamedTuple):
    """What the watches say, as columns [N]."""

    ratio: Bools
    root: Bools
    least: Floats
    low: Floats
    high: Floats
    floor: Floats
    sign: Floats  # 1: up is bad, −1: down, 0: both
    share: Bools  # an error rate: a binomial share
    enough: Floats
    novel: Bools  # the ensemble listens
    summed: Bools  # minutes are added up

    def at(self, which: Ints) -> Scales:
        """Those of the watches *which* [N], one for each of N series."""
        return Scales(
            self.ratio[which],
            self.root[which],
            self.least[which],
            self.low[which],
            self.high[which],
            self.floor[which],
            self.sign[which],
            self.share[which],
            self.enough[which],
            self.novel[which],
            self.summed[which],
        )


@cache
def scales(watches: tuple[Watch, ...]) -> Scales:
    """The watches [M] as columns."""
    return Scales(
        np.array([w.ratio for w in watches]),
        np.array([w.root for w in watches]),
        np.array([w.least for w in watches]),
        np.array([w.low for w in watches]),
        np.array([w.high for w in watches]),
        np.array([w.floor for w in watches]),
        np.array([{"up": 1.0, "down": -1.0, "both": 0.0}[w.bad] for w in watches]),
        np.array([w.metric is Metric.ERROR_RATE for w in watches]),
        np.array([w.enough for w in watches], np.float64),
        np.array([w.novel for w in watches]),
        np.array([w.summed for w in watches]),
    )


class Past(NamedTuple):
    """What N series were like before a window, on their scales; all [N]."""

    center: Floats  # what is expected
    slack: Floats  # on both sides of it, as the time of the day has it
    spread: Floats  # robust σ of the values, no noise of this window in it
    weight: Floats  # how many observations are usually behind a value
    samples: Ints


def scaled(scale: Scales, values: Floats) -> Floats:
    """*values* on the scale that they are judged on: a logarithm, a root, or themselves."""
    logs: Floats = np.log(np.maximum(values, np.where(scale.ratio, scale.least, 1.0)))
    roots: Floats = np.sqrt(np.where(scale.root, np.maximum(values, 0.0), 0.0))
    return np.where(scale.ratio, logs, np.where(scale.root, roots, values))


def natural(scale: Scales, x: Floats) -> Floats:
    """The way back from `scaled`, into the metric's own range."""
    back = np.exp(np.where(scale.ratio, x, 0.0))
    square = np.maximum(np.where(scale.root, x, 0.0), 0.0) ** 2
    found = np.where(scale.ratio, back, np.where(scale.root, square, x))
    return np.clip(found, scale.low, scale.high)


def summarize(
    scale: Scales, values: npt.NDArray[np.floating], weight: Floats, counts: Ints
) -> Past:
    """Median and MAD of past values; all 0, but for the least spread, where there are none.

    Args:
        scale: Gives the least spread.
        values: [N, H], on the metrics' scales, of which the last *counts* count.
        weight: [N], observations (requests, scores) that are usually behind a value.
        counts: [N].
    """
    there = np.arange(values.shape[1]) >= values.shape[1] - counts[:, None]
    center = middle(values, there, counts)
    away = np.abs(values - center[:, None].astype(values.dtype))
    spread = np.maximum(MAD_TO_SIGMA * middle(away, there, counts), scale.floor)
    return Past(center, np.zeros(len(center)), spread, weight, counts)


def middle(values: npt.NDArray[np.floating], there: Bools, counts: Ints) -> Floats:
    """The median of those of each row that are *there*; of an even number the mean of the two.

    >>> middle(np.array([[4.0, 1.0, 3.0]]), np.array([[True, True, True]]), np.array([3]))
    array([3.])
    """
    ordered = np.sort(np.where(there, values, values.dtype.type(np.inf)), axis=1)
    rows, last = np.arange(len(values)), np.maximum(counts - 1, 0)
    low = ordered[rows, last // 2].astype(np.float64)
    high = ordered[rows, np.minimum(counts // 2, last)].astype(np.float64)
    return np.where(counts > 0, (low + high) / 2, 0.0)


def sigma(scale: Scales, past: Past, weight: Floats, noise: Floats) -> Floats:
    """The standard deviation to expect of values from *weight* observations each, [N].

    A window thinner than usual is noisier by √(usual / its own), and none is less noisy than its
    own values say (*noise*, see `processors.detect.noise`). An error rate has the noise of a
    binomial share on top, at a rate no lower than one error in this window, so that a single error
    of few requests is no news.
    """
    weight = np.maximum(weight, 1.0)
    rate = np.minimum(np.maximum(past.center, 1 / weight), 0.5)
    share = np.sqrt(past.spread**2 + rate * (1 - rate) / weight)
    own = past.spread * np.sqrt(np.maximum(1.0, past.weight / weight))
    return np.where(scale.share, share, np.maximum(own, noise))


def deviation(past: Past, x: Floats, sigmas: Floats, cap: float) -> Floats:
    """Signed distance of *x* from what is usual in *sigmas*, capped on both sides, [N].

    Robust z-score: Iglewicz & Hoaglin, How to Detect and Handle Outliers, ASQC 1993.
    """
    away = x - past.center
    beyond = np.sign(away) * np.maximum(np.abs(away) - past.slack, 0.0)
    return np.clip(beyond / sigmas, -cap, cap)


def badness(scale: Scales, z: Floats) -> Floats:
    """How far *z* is out on the side that is bad; negative on the other side."""
    return np.where(scale.sign == 0.0, np.abs(z), scale.sign * z)


def confidence(z: float) -> float:
    """That a value *z* σ out is not by chance, whatever the shape, if it has one peak.

    The bound of Vysochanskij & Petunin, Theory Prob. Math. Stat. 21 (1980): at most 4 / (9 z²)
    lies further out than z > √(8/3). It is looser than a normal tail on purpose.

    >>> round(confidence(-4.0), 4)
    0.9722
    """
    return max(0.0, 1 - 4 / (9 * z * z)) if z else 0.0

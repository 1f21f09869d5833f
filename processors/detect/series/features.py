"""What the members look at: the value, its level, its restlessness, and the value at its level."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from processors.detect.series.policy import SeriesPolicy

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
MEMBERS = ("value", "level", "variance", "shape")
FLOOR = 0.05  # of the usual change: what is added on both sides of the ratio
TINY = 1e-300


class Sums(NamedTuple):
    """Running means of S series, all about the first value."""

    seen: Floats  # [S], points
    origin: Floats  # [S], the first value
    last: Floats  # [S]
    means: Floats  # [3, S]: of the values; of the change from value to value, short and long


def begin(series: int) -> Sums:
    """Nothing seen yet."""
    return Sums(np.zeros(series), np.zeros(series), np.zeros(series), np.zeros((3, series)))


@cache
def gains(half: float, calm: float) -> Floats:
    """[3, 1]: by which part of its distance each mean follows a new value."""
    return np.array([[1.0 - 0.5 ** (1.0 / points)] for points in (half, half, calm)])


def look(policy: SeriesPolicy, sums: Sums, values: Floats) -> tuple[Singles, Sums]:
    """The features of one new value of each series.

    The variance member sees the logarithm of the short mean of |x_t - x_{t-1}| over the long one;
    the shape member sees the value and its short mean as a point of the plane.

    Args:
        policy: Half-lives, in points.
        sums: Of the values before.
        values: [S], finite, at most 1e18 in size.

    Returns:
        Features [2, S, 4] in the order of MEMBERS, all 0 for the first value, and the sums with the
        values in them.
    """
    origin = sums.origin
    if not np.minimum.reduce(sums.seen):
        origin = np.where(sums.seen == 0, values, origin)
    x, points = values - origin, sums.seen + 1.0
    now = np.empty((3, x.size))
    now[0] = x
    now[1:] = np.abs(x - sums.last)
    gain = np.maximum(gains(policy.half, policy.calm), 1.0 / points)
    now -= sums.means
    now *= gain
    means = now
    means += sums.means
    level, short, usual = means
    floor = FLOOR * usual + TINY
    seen = np.zeros((2, x.size, len(MEMBERS)), np.float32)
    seen[0, :, 0] = seen[0, :, 3] = x
    seen[0, :, 1] = seen[1, :, 3] = level
    seen[0, :, 2] = np.log((short + floor) / (usual + floor))
    return seen, Sums(points, origin, x, means)

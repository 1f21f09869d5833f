"""Points at even times, for methods that count in steps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MOST_FILLED = 0.5  # of the steps


class Even(NamedTuple):
    """Values one step apart."""

    times: Floats
    values: Floats
    step: float
    filled: int  # steps without a point, which lie on the line between their neighbours
    uneven: bool  # the times have no step: each point counts as one


def even(times: Floats, values: Floats) -> Even:
    """Put points on a grid whose step is the usual one; where there is none, count them.

    Args:
        times: [n], rising.
        values: [n], at least 2.

    Examples:
        >>> found = even(np.array([0.0, 1, 2, 4]), np.array([5.0, 6, 7, 9]))
        >>> found.values.tolist(), found.filled, found.uneven
        ([5.0, 6.0, 7.0, 8.0, 9.0], 1, False)
        >>> even(np.array([0.0, 1, 1.5, 9]), np.array([5.0, 6, 7, 9])).uneven
        True
    """
    steps = np.diff(times)
    length = float(times[-1] - times[0])
    step = length / max(1, round(length / float(np.median(steps))))
    at = np.rint((times - times[0]) / step)
    near = float(np.abs(times - times[0] - at * step).max()) <= step / 2.0
    n = int(at[-1]) + 1
    if not near or np.diff(at).min() < 1.0 or n > times.size / (1.0 - MOST_FILLED):
        return Even(times, values, length / (times.size - 1), 0, uneven=True)
    if n == times.size:
        return Even(times, values, step, 0, uneven=False)
    grid = times[0] + step * np.arange(n)
    return Even(grid, np.interp(grid, times, values), step, n - times.size, uneven=False)

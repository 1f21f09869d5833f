"""The segmentation of least cost, exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Cost = Callable[[Ints, int], Floats]  # begins [k], end → [k]


def segment(n: int, cost: Cost, penalty: float, shortest: int) -> tuple[int, ...]:
    """The changes of the segmentation with the least Σ cost + penalty · changes.

    Optimal partitioning with the pruning of PELT: F(e) = min_s F(s) + C(s, e) + β, and where
    F(s) + C(s, t) ≥ F(t), no segment that ends at t + *shortest* or later needs to begin at s.
    Reference: Killick, Fearnhead & Eckley, "Optimal detection of changepoints with a linear
    computational cost", JASA 2012.

    Args:
        n: Number of points.
        cost: Of segments; what is split never costs more.
        penalty: β ≥ 0, of each change.
        shortest: Fewest points of a segment.

    Returns:
        The first point of each segment but the first, rising.
    """
    best = np.full(n + 1, np.inf)
    best[0] = -penalty
    before = np.zeros(n + 1, dtype=np.int64)
    begins = np.zeros(0, dtype=np.int64)  # that a segment may begin at, rising
    until = np.zeros(0, dtype=np.int64)  # and the first end that it needs not be tried for
    for end in range(shortest, n + 1):
        fresh = end - shortest
        if np.isfinite(best[fresh]):
            begins, until = np.append(begins, fresh), np.append(until, n + 1)
        alive = until > end
        begins, until = begins[alive], until[alive]
        found = best[begins] + cost(begins, end)
        at = int(np.argmin(found))
        best[end], before[end] = found[at] + penalty, begins[at]
        beaten = found >= best[end]
        until[beaten] = np.minimum(until[beaten], end + shortest)
    changes: list[int] = []
    at = int(before[n])
    while at > 0:
        changes.append(at)
        at = int(before[at])
    return tuple(reversed(changes))

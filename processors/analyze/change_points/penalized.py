"""The segmentation of least cost, exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Cost = Callable[[Ints, Ints], Floats]  # begins [1, k], ends [e, 1] → [e, k]

BLOCK = 32  # ends whose costs are asked for together


def segment(n: int, cost: Cost, penalty: float, shortest: int) -> tuple[int, ...]:
    """The changes of the segmentation with the least Σ cost + penalty · changes.

    Optimal partitioning with the pruning of PELT: F(e) = min_s F(s) + C(s, e) + β, and where
    F(s) + C(s, t) ≥ F(t), no segment that ends at t + *shortest* or later needs to begin at s.
    Reference: Killick, Fearnhead & Eckley, "Optimal detection of changepoints with a linear
    computational cost", JASA 2012.

    Args:
        n: Number of points.
        cost: Of segments; what is split never costs more. What it says of no points does not count.
        penalty: β ≥ 0, of each change.
        shortest: Fewest points of a segment.

    Returns:
        The first point of each segment but the first, rising.
    """
    best = np.full(n + 1, np.inf)
    best[0] = -penalty
    before = np.zeros(n + 1, dtype=np.int64)
    begins = np.zeros(0, dtype=np.int64)  # that a segment may begin at, rising
    known = 0  # those below were added
    block = max(BLOCK, shortest)
    for start in range(shortest, n + 1, block):
        ends = np.arange(start, min(start + block, n + 1))
        begins = np.concatenate((begins, np.arange(known, ends[-1] - shortest + 1)))
        known = int(ends[-1]) - shortest + 1
        costs = cost(begins[None, :], ends[:, None])
        costs[ends[:, None] - begins < shortest] = np.inf
        beaten = np.zeros(begins.size, dtype=np.bool_)
        for i, end in enumerate(ends.tolist()):
            found = best[begins] + costs[i]
            at = int(np.argmin(found))
            best[end], before[end] = found[at] + penalty, begins[at]
            if i == ends.size - shortest:  # what it beats begins no segment of the next block
                beaten = (found >= best[end]) & np.isfinite(found)
        begins = begins[~beaten]
    changes: list[int] = []
    at = int(before[n])
    while at > 0:
        changes.append(at)
        at = int(before[at])
    return tuple(reversed(changes))

"""A mergeable quantile sketch: log buckets over non-negative integers.

Bucket b holds the values in (γ^(b−1), γ^b], so that one number stands for all of them within
α = (γ−1)/(γ+1) < 1 %. Counts are integers: sketches merge exactly, in any order.

>>> values = np.array([0, 1, 250_000, 251_000, 9_000_000])
>>> buckets(values).tolist()
[-1, 0, 628, 628, 809]
>>> round(quantile(np.array([-1, 0, 628, 809]), np.array([1, 1, 2, 1]), 0.5))
249222

References:
    Masson, Rim, Lee. DDSketch: a fast and fully-mergeable quantile sketch with relative-error
    guarantees. PVLDB 12(12), 2019.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

__all__ = ["ALPHA", "EDGE", "ESTIMATES", "FIRST", "GAMMA", "ZERO", "buckets", "quantile", "rank"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

GAMMA = Fraction(51, 50)
ALPHA = float((GAMMA - 1) / (GAMMA + 1))  # relative error of every quantile, at most
ZERO = -1  # the bucket of zero
BITS = 53  # values are below 2^53, where float64 still holds every integer

# Edges as exact integers: for an integer x, x ≤ γ^b and x ≤ ⌊γ^b⌋ are the same.
_EDGES = [1]
while _EDGES[-1] < 1 << BITS:
    _EDGES.append(GAMMA.numerator ** len(_EDGES) // GAMMA.denominator ** len(_EDGES))

ESTIMATES: Floats = np.array(
    [0.0, *(float(2 * GAMMA**b / (GAMMA + 1)) for b in range(len(_EDGES)))]
)
"""What stands for a value of bucket b, at index b + 1: 2γ^b/(γ+1)."""

# The top 7 bits of a float64's fraction cut each power of two into 128 cells, each narrower than
# a bucket, so that a cell meets one edge at most: look up the cell, then compare with that edge.
_CELLS = 7
_SHIFT = 52 - _CELLS
_BLOCK = 1 << 14  # values at a time: temporaries that stay in the cache are 4 times faster
_BIAS = 1023 << _CELLS


def _tables() -> tuple[Ints, Ints]:
    edges = np.array([float(edge) for edge in _EDGES])
    cells = np.arange(BITS << _CELLS, dtype=np.int64) + _BIAS
    starts = (cells << _SHIFT).view(np.float64)
    first = np.searchsorted(edges, np.ceil(starts))
    below = [ZERO, *first.tolist()]
    return np.array(below), np.array([0, *(_EDGES[b] for b in first)])


FIRST, EDGE = _tables()
"""The bucket where each cell begins, and the edge that it meets; the first cell is of zero."""


def buckets(values: Ints) -> Ints:
    """The bucket of each value: ZERO for 0, else ⌈log_γ x⌉, exact also at the edges.

    Args:
        values: Integers in [0, 2^53), of any shape.

    Returns:
        An array of the same shape.
    """
    found = np.empty(values.size, dtype=np.int64)
    flat = values.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        part = flat[start : start + _BLOCK]
        cell = part.astype(np.float64).view(np.int64)
        cell >>= _SHIFT
        cell -= _BIAS - 1
        np.maximum(cell, 0, out=cell)
        np.add(FIRST[cell], part > EDGE[cell], out=found[start : start + _BLOCK])
    shaped: Ints = found.reshape(values.shape)
    return shaped


def rank(count: Ints, q: float) -> Ints:
    """How many of *count* sorted values lie before the lower q-quantile: ⌊q(count − 1)⌋."""
    before: Ints = np.floor(q * (count - 1)).astype(np.int64)
    return before


def quantile(
    bucket: Ints, count: Ints, q: float, low: float = 0.0, high: float = float("inf")
) -> float:
    """The lower q-quantile of a sketch, within α of the exact one.

    Args:
        bucket: Ascending bucket numbers [h].
        count: How many values are in each [h].
        q: 0 to 1.
        low: The smallest value, when known; the estimate is clamped to it.
        high: The largest value, when known.

    Raises:
        ValueError: q is outside [0, 1], or the sketch is empty.
    """
    total = count.sum()
    if not 0 <= q <= 1:
        raise ValueError(f"q is {q}: name a quantile from 0 to 1")
    if total == 0:
        raise ValueError("an empty sketch has no quantiles: ask only where count > 0")
    at = np.searchsorted(np.cumsum(count), rank(total, q), side="right")
    return float(np.clip(ESTIMATES[bucket[at] + 1], low, high))

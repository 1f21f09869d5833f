"""Isolation forest: what random cuts part from the rest early is strange."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from processors.detect.plain.setting import Floats, Setting

SAMPLE = 64  # points a tree is grown from


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where a path ends: its length, with what further cuts of its points would add."""

    length: float


@dataclass(frozen=True, slots=True)
class Cut:
    """Points below `at` in the given dimension go left."""

    dimension: int
    at: float
    left: Cut | Leaf
    right: Cut | Leaf


def usual_length(n: int) -> float:
    """Mean path length of an unsuccessful search in a binary tree of n points.

    >>> [round(usual_length(n), 3) for n in (1, 2, 256)]
    [0.0, 1.0, 10.249]
    """
    if n <= 2:
        return float(n == 2)
    return 2.0 * float(np.sum(1.0 / np.arange(1, n))) - 2.0 * (n - 1) / n


def grow(points: Floats, rng: np.random.Generator, depth: int, deepest: int) -> Cut | Leaf:
    """Cut at random between the least and largest of a random dimension that has both."""
    low, high = points.min(axis=0), points.max(axis=0)
    wide = np.flatnonzero(high > low)
    if depth >= deepest or len(points) <= 1 or not wide.size:
        return Leaf(depth + usual_length(len(points)))
    dimension = int(rng.choice(wide))
    at = float(rng.uniform(low[dimension], high[dimension]))
    left = points[:, dimension] <= at
    return Cut(
        dimension,
        at,
        grow(points[left], rng, depth + 1, deepest),
        grow(points[~left], rng, depth + 1, deepest),
    )


def lengths(tree: Cut | Leaf, points: Floats) -> Floats:
    """The length of the path of each point, [n]."""
    if isinstance(tree, Leaf):
        return np.full(len(points), tree.length)
    left = points[:, tree.dimension] <= tree.at
    found = np.empty(len(points))
    found[left] = lengths(tree.left, points[left])
    found[~left] = lengths(tree.right, points[~left])
    return found


def learn(past: Floats, setting: Setting, turn: int) -> Callable[[Floats], Floats]:
    """Grow trees from samples of *past* [n, d]; the strangeness 2^(−mean length / usual length).

    Liu, Ting & Zhou, "Isolation forest", ICDM 2008. The same seed and turn give the same trees.
    """
    rng = np.random.default_rng((setting.seed, turn))
    size = min(SAMPLE, len(past))
    deepest = int(np.ceil(np.log2(size)))
    trees = [
        grow(past[rng.choice(len(past), size, replace=False)], rng, 0, deepest)
        for _ in range(setting.trees)
    ]

    def strangeness(points: Floats) -> Floats:
        total = np.sum([lengths(tree, points) for tree in trees], axis=0)
        return np.asarray(2.0 ** (-total / len(trees) / usual_length(size)), np.float64)

    return strangeness

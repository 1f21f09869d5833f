"""One-class support vector machine: what lies outside of where most points are is strange."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from processors.detect.plain.setting import Floats, Setting

NEAR = 1e-6  # gap of the optimality conditions at which the dual is solved
TURNS = 5_000


def kernel(a: Floats, b: Floats) -> Floats:
    """exp(−|a − b|² / (2 d)), [n, m], for points of d dimensions of unit scale."""
    squares = ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2)
    return np.asarray(np.exp(-squares / (2.0 * a.shape[1])), np.float64)


def solve(gram: Floats, outside: float) -> tuple[Floats, float]:
    """Minimize ½ αᵀKα over 0 ≤ α ≤ 1/(νn), Σα = 1, two at a time.

    Each turn moves weight between the two points that break the conditions of optimality most
    (Keerthi et al., Neural Computation 13, 2001).

    Args:
        gram: K, [n, n].
        outside: ν, between 0 and 1.

    Returns:
        α [n], and ρ, the height of the region's border.
    """
    n = len(gram)
    most = 1.0 / (outside * n)
    alpha = np.full(n, 1.0 / n)
    height = gram @ alpha
    up, down = 0, 0
    for _ in range(TURNS):
        up = int(np.argmin(np.where(alpha < most - 1e-12, height, np.inf)))
        down = int(np.argmax(np.where(alpha > 1e-12, height, -np.inf)))
        gap = height[down] - height[up]
        if gap <= NEAR:
            break
        curve = max(gram[up, up] + gram[down, down] - 2.0 * gram[up, down], 1e-12)
        moved = min(gap / curve, most - alpha[up], alpha[down])
        alpha[up] += moved
        alpha[down] -= moved
        height += moved * (gram[:, up] - gram[:, down])
    return alpha, float((height[up] + height[down]) / 2.0)


def learn(past: Floats, setting: Setting, _turn: int) -> Callable[[Floats], Floats]:
    """The region that leaves out about ν of *past* [n, d]; how far below its border points are.

    Schölkopf et al., "Estimating the support of a high-dimensional distribution", Neural
    Computation 13 (2001).
    """
    alpha, border = solve(kernel(past, past), setting.outside)
    held = alpha > 1e-12
    points_of, weights = past[held], alpha[held]

    def strangeness(points: Floats) -> Floats:
        return border - kernel(points, points_of) @ weights

    return strangeness

"""Is the mean of bounded differences above zero? Wealth of a fair bet tells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LAMBDAS: Floats = np.geomspace(0.01, 0.95, 16)
MOST_PAIRS = 512  # per minute; more values are averaged within the pairs


def increments(differences: Floats) -> Floats:
    """What each of 16 bettors gains, in logs, from *differences* within [−1, 1].

    E_λ = Π (1 + λ d_i) is a nonnegative supermartingale when the conditional mean of d is at most
    0, so the mean over the λ is an e-value. Reference: Waudby-Smith & Ramdas, "Estimating means of
    bounded random variables by betting", JRSSB 2024.

    Args:
        differences: d [n], positive where the candidate did worse.

    Returns:
        Σ log(1 + λ d_i) [16], to be added to the log wealth so far.

    Raises:
        ValueError: a difference lies outside [−1, 1].
    """
    if differences.size and float(np.abs(differences).max()) > 1.0:
        raise ValueError("differences must lie within [-1, 1]: scale them by their range")
    gains: Floats = np.log1p(np.multiply.outer(LAMBDAS, differences)).sum(axis=1)
    return gains


def bet(logs: tuple[float, ...], differences: Floats) -> tuple[float, ...]:
    """The log wealth of the 16 bettors, () before their first bet, after these *differences*."""
    before = np.array(logs) if logs else np.zeros(LAMBDAS.size)
    return tuple((before + increments(differences)).tolist())


def pair(stable: Floats, candidate: Floats, chance: np.random.Generator) -> Floats:
    """Pair two samples of the same minute: stable − candidate [m], each value used once.

    Both are shuffled and cut into m = min(n, k, 512) blocks of nearly equal size; a pair is the
    difference of two block means, so the larger arm lends all of its precision.

    Args:
        stable: values [n], in any order.
        candidate: values [k], in any order.
        chance: the source of the shuffle; the same state gives the same pairs.
    """
    m = min(stable.size, candidate.size, MOST_PAIRS)
    if m == 0:
        return np.empty(0)
    return _block_means(stable, m, chance) - _block_means(candidate, m, chance)


def _block_means(values: Floats, m: int, chance: np.random.Generator) -> Floats:
    shuffled = chance.permutation(values)
    if m == values.size:
        return shuffled
    bounds = np.arange(m + 1) * values.size // m
    means: Floats = np.add.reduceat(shuffled, bounds[:-1]) / (bounds[1:] - bounds[:-1])
    return means

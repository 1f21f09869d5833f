"""When may a test that looks a few times reject, if it must end by a known time?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]

NODES = 256  # of the quadrature over where the statistic is
TAIL = 9.0  # standard deviations below which it is not followed
HIGHEST = 40.0  # Φ(−40) is below the smallest number


def spent(alpha: float, time: float) -> float:
    r"""How much of the one-sided level may be used up by *time*, a part of the whole duration.

    The spending function of O'Brien and Fleming's type, α*(t) = 2 − 2Φ(z_{1−α/2} / √t): next to
    nothing early, all of *alpha* at the end. Reference: Lan & DeMets, "Discrete sequential
    boundaries for clinical trials", Biometrika 1983, example 1.

    Raises:
        ValueError: the time is outside (0, 1], or the level outside (0, 1).

    >>> [round(spent(0.025, t), 5) for t in (0.2, 0.6, 1.0)]
    [0.0, 0.00381, 0.025]
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"level must lie between 0 and 1, exclusive, got {alpha}")
    if not 0.0 < time <= 1.0:
        raise ValueError(f"time must be a part of the duration, above 0 and at most 1, got {time}")
    return 2.0 * float(special.ndtr(special.ndtri(alpha / 2.0) / math.sqrt(time)))


@lru_cache(maxsize=1024)
def bounds(
    times: tuple[float, ...], information: tuple[float, ...], alpha: float
) -> tuple[float, ...]:
    r"""Bounds c_k of a standardised statistic: reject at analysis k when Z_k ≥ c_k.

    The score S_k = Z_k √I_k moves by independent normal steps of variance I_k − I_{k−1}. With
    f_k(s) its density where no bound was reached before,

        P(first reached at k) = ∫ f_{k−1}(u) Φ((u − c_k √I_k) / √(I_k − I_{k−1})) du
        f_k(s) = ∫ f_{k−1}(u) φ((s − u) / √(I_k − I_{k−1})) / √(I_k − I_{k−1}) du,  s < c_k √I_k,

    and c_k is where the first is what has become free to spend since k − 1 (Armitage, McPherson &
    Rowe, "Repeated significance tests on accumulating data", JRSS A 1969; Lan & DeMets 1983). The
    level is spent by the clock and the bounds follow the information, so that neither their
    number nor the final information need be known before (Lan & DeMets, "Group sequential
    procedures: calendar versus information time", Statistics in Medicine 1989).

    Args:
        times: t_k [K], parts of the longest duration, rising, at most 1.
        information: I_k [K], rising, in any unit.
        alpha: one-sided level of all analyses together.

    Returns:
        c [K]; above 30 where next to nothing may be spent.

    Raises:
        ValueError: times or information do not rise, or there is not one of each.
    """
    if len(times) != len(information):
        raise ValueError(f"{len(times)} times and {len(information)} amounts of information")
    if not _rise((0.0, *times)) or not _rise((0.0, *information)):
        raise ValueError("times and information must rise from one analysis to the next")
    found: list[float] = []
    used, before = 0.0, 0.0
    at, density = np.zeros(1), np.ones(1)  # Σ density = P(not rejected yet)
    for time, amount in zip(times, information, strict=True):
        free = spent(alpha, time) - used
        step = math.sqrt((amount - before) / information[-1])
        wide = math.sqrt(amount / information[-1])
        bound = _solve(at, density, step, wide, free)
        found.append(bound)
        used, before = used + max(free, 0.0), amount
        nodes, weights = special.roots_legendre(NODES)
        half = (bound + TAIL) * wide / 2.0 if bound < TAIL else TAIL * wide
        low = -TAIL * wide
        reached = low + half * (nodes + 1.0)
        kernel = np.exp(-0.5 * ((reached[:, None] - at) / step) ** 2) / (
            step * math.sqrt(2.0 * math.pi)
        )
        at, density = reached, half * weights * (kernel @ density)
    return tuple(found)


def _solve(at: Floats, density: Floats, step: float, wide: float, free: float) -> float:
    """The bound that is first reached with probability *free*; bisected, for it is monotone."""
    low, high = -TAIL, HIGHEST
    for _ in range(60):
        middle = (low + high) / 2.0
        if float(special.ndtr((at - middle * wide) / step) @ density) > free:
            low = middle
        else:
            high = middle
    return high


def _rise(values: Sequence[float]) -> bool:
    return all(a < b for a, b in itertools.pairwise(values))

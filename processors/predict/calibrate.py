"""How many standard deviations wide must a range be?"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf

import numpy as np
from scipy.special import ndtri

SUPPOSED = 19  # scores of a normal distribution that the ranges begin with


def width(scores: Sequence[float], level: float) -> float:
    """Half of a range, in standard deviations, so that it holds the next value at *level*.

    The ⌈level·(n + 1)⌉-th smallest score: however wrong the standard deviations are, a range of
    that width holds the next of exchangeable outcomes with at least that probability (split
    conformal prediction, with scores scaled by the prediction's own deviation). The first outcomes
    stand beside 19 scores that a normal distribution would have, so that there is a range at all;
    they give way, one by one, to what was scored.

    Reference: Lei, G'Sell, Rinaldo, Tibshirani & Wasserman, "Distribution-free predictive inference
    for regression", JASA 2018; Papadopoulos et al., "Normalized nonconformity measures", 2008.

    Args:
        scores: |outcome − predicted| / standard deviation, of predictions made before.
        level: in (0, 1); reached exactly from 1/(1 − level) − 1 scores on.

    Raises:
        ValueError: the level is not between 0 and 1.

    Examples:
        >>> round(width((), 0.9), 2)
        1.64
        >>> width([2.0] * 100, 0.9)
        2.0
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"a level must be between 0 and 1, got {level}")
    supposed = max(0, SUPPOSED - len(scores))
    # the normal scores that are left are spread evenly over all that there were
    ranks = np.arange(1, supposed + 1) / (supposed + 1)
    every = np.sort(np.concatenate([np.asarray(scores, dtype=np.float64), ndtri((1 + ranks) / 2)]))
    rank = ceil(round(level * (every.size + 1), 9))
    return float(every[rank - 1]) if rank <= every.size else inf

"""Many tests at once: p-values that hold for all of them together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def holm(p: Floats) -> Floats:
    """P-values [m] such that any of the true hypotheses falls below α with the chance α at most.

    The i-th smallest becomes max_{j ≤ i} (m − j + 1) p_j (Holm, Scand. J. Statistics 1979);
    whatever the dependence.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    grown = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    found = np.empty(p.size)
    found[order] = np.minimum(grown, 1.0)
    return found


def benjamini_hochberg(p: Floats) -> Floats:
    """P-values [m] such that of those below α a part α at most is of true hypotheses, on average.

    The i-th smallest becomes min_{j ≥ i} m p_j / j (Benjamini & Hochberg, JRSS B 1995); for
    independent tests, and such as rise and fall together.

    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    order = np.argsort(p, kind="stable")
    shrunk = p[order] * p.size / np.arange(1, p.size + 1)
    found = np.empty(p.size)
    found[order] = np.minimum(np.minimum.accumulate(shrunk[::-1])[::-1], 1.0)
    return found

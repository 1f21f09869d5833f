"""How unlikely is a distance, by the largest that there were?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.detect.series.features import Floats, Singles

Ints = npt.NDArray[np.intp]
PRIOR = 0.5  # tail index that an estimate starts from
TRUST = 5.0  # how many distances that start weighs
NONE = np.zeros(0)
MOST = 6.0  # decimal digits that one member can add


def judge(
    top: Singles, seen: Floats, distance: Singles, kept: float
) -> tuple[Ints, Floats, Singles]:
    r"""-log10 of the chance of a distance at least as large, where it is among the largest.

    Beyond the k-th largest of n distances, d_k, the tail is taken for a Pareto tail,

        P(D > d) = (k/n) · (d/d_k)^(−1/ξ),  ξ = (5·½ + Σ log(d_i/d_k)) / (5 + k − 1),

    Hill's estimate (Annals of Statistics 3, 1975) drawn to ½ by a start that weighs five; streams
    were so judged by Siffer et al. (KDD 2017). It needs no scale and no shape of the bulk.

    Args:
        top: [R, k], the largest so far, rising.
        seen: [S], n of each series; its rows follow one another.
        distance: [R].
        kept: The part that a step leaves of the largest: what shrinks by half in a horizon is
            forgotten without a list of when it was.

    Returns:
        The rows whose distance is among the largest; of each of these the digits, 0 to MOST, and 0
        before there were k distances; the largest with the new ones among them.
    """
    after = top * np.float32(kept)
    rows = np.flatnonzero(distance > top[:, 0])
    if not rows.size:
        return rows, NONE, after
    larger, new, k = top[rows].astype(np.float64), distance[rows].astype(np.float64), top.shape[1]
    full = larger[:, 0] > 0
    logs = np.log(np.where(full[:, None], larger, 1.0))
    least = logs[:, 0]
    index = (PRIOR * TRUST + (logs - least[:, None]).sum(axis=1)) / (TRUST + k - 1)
    past = np.maximum(seen[rows // (distance.size // seen.size)], k)
    digits = np.log10(past / k) + (np.log(new) - least) / index / np.log(10)
    grown = after[rows]
    grown[:, 0] = distance[rows]
    grown.sort(axis=1)
    after[rows] = grown
    return rows, np.minimum(digits, MOST) * full, after

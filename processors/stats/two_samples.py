"""Do the candidate's values fall in higher classes than the stable arm's of the same minute?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def increments(candidate: Floats, stable: Floats, base: Floats, tilts: Floats) -> Floats:
    r"""Log e-values of one minute's class counts, one for each alternative.

    An alternative tilts the class probabilities of the candidate, θ_c(y) ∝ base(y)·tilt(y), beside
    θ_s = base. With θ_0 = (n_c θ_c + n_s θ_s) / n,

        E = Π_candidate θ_c(y)/θ_0(y) · Π_stable θ_s(y)/θ_0(y).

    E has mean at most 1 for *every* common distribution of the two arms, not only for *base*, so
    a base that lags behind costs power, never validity: with u_g = (θ_g − θ_0)/θ_0 the log of the
    mean is at most n_c·E_c[u_c] + n_s·E_s[u_s], and n_c u_c = −n_s u_s. With tilts that rise from
    class to class it stays so whenever the candidate is stochastically not larger. Reference:
    Turner, Ly & Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for
    optional stopping", J. Stat. Plan. Inference 2024.

    Args:
        candidate: counts per class [k].
        stable: counts per class [k].
        base: expected class probabilities [k], positive, known before the minute.
        tilts: [a, k], positive, not falling along k.

    Returns:
        log E [a]; zeros when an arm is empty.
    """
    n_candidate, n_stable = float(candidate.sum()), float(stable.sum())
    if n_candidate == 0.0 or n_stable == 0.0:
        return np.zeros(len(tilts))
    ratio = tilts * (base.sum() / (tilts @ base))[:, None]
    share = n_candidate / (n_candidate + n_stable)
    mixed = np.log1p(share * (ratio - 1.0))
    log_e: Floats = np.log(ratio) @ candidate - mixed @ (candidate + stable)
    return log_e

"""How far are several metrics of a scope, taken together, from how they usually go together?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
TO_SIGMA = 1.4826  # 1 / Φ⁻¹(3/4)
CLIP = 4.0  # σ at which a value of the past is taken to be, so that an outage forms no covariance
CAP = 30.0  # σ at which a value that is judged is taken to be
FEWEST = 8  # points of the past


@dataclass(frozen=True, slots=True)
class Usual:
    """Where d metrics lie, how far each strays, and how they go together."""

    center: Floats  # [d], medians
    spread: Floats  # [d], robust σ; the plain one where more than half of the values are alike
    inverse: Floats  # [d, d], of the covariance of the scaled metrics
    shrunk: float  # 0 to 1, how much of the covariance is the identity's


def learn(past: Floats) -> Usual:
    """What is usual by the *past* of d metrics.

    Values are scaled by median and MAD and clipped, then their covariance is drawn to a multiple of
    the identity by as much as it is uncertain (Ledoit & Wolf, Journal of Multivariate Analysis
    88, 2004), so that it can be inverted whatever d is.

    Args:
        past: [n, d], n ≥ 8; NaN where a metric was absent, which counts as its median.

    Raises:
        ValueError: there are too few points, or a metric has no value at all.
    """
    if past.ndim != 2 or len(past) < FEWEST:
        raise ValueError(f"the past must be [n, d] with n of {FEWEST} or more, not {past.shape}")
    if np.isnan(past).all(axis=0).any():
        raise ValueError("a metric has no value in the past; leave it out")
    center: Floats = np.nanmedian(past, axis=0)
    mad = np.nanmedian(np.abs(past - center), axis=0)
    plain: Floats = np.nanstd(past, axis=0)
    spread = np.where(mad > 0, TO_SIGMA * mad, np.where(plain > 0, plain, 1.0)).astype(np.float64)
    z = np.nan_to_num(np.clip((past - center) / spread, -CLIP, CLIP))
    covariance, shrunk = shrink(z)
    inverse = np.asarray(np.linalg.inv(covariance), np.float64)
    return Usual(center, spread, inverse, shrunk)


def shrink(z: Floats) -> tuple[Floats, float]:
    """The Ledoit-Wolf covariance [d, d] of *z* [n, d], and the share of the identity in it."""
    n, d = z.shape
    z = z - z.mean(axis=0)
    sample = z.T @ z / n
    mean = float(np.trace(sample)) / d
    apart = float(((sample - mean * np.eye(d)) ** 2).sum())
    squares = (z**2).T @ (z**2) / n
    noise = min(float((squares - sample**2).sum()) / n, apart)
    share = noise / apart if apart > 0 else 1.0
    return share * max(mean, 1e-12) * np.eye(d) + (1.0 - share) * sample, share


def distance(usual: Usual, values: Floats) -> Floats:
    """Mahalanobis distance of each row of *values* [m, d] in σ, [m]; NaN counts as usual."""
    z = np.nan_to_num(np.clip((values - usual.center) / usual.spread, -CAP, CAP))
    found: Floats = np.sqrt(np.einsum("mi,ij,mj->m", z, usual.inverse, z))
    return found


def part(usual: Usual, values: Floats) -> Floats:
    """Which metrics a distance came from: [d], adding up to 1; zeros for what is just usual.

    Args:
        usual: Of d metrics.
        values: [d].
    """
    z = np.nan_to_num(np.clip((values - usual.center) / usual.spread, -CAP, CAP))
    parts = z * (usual.inverse @ z)
    total = float(parts.sum())
    return parts / total if total > 0 else np.zeros(z.size)

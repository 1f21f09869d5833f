"""How far can a mean be from its estimate, at every time at once?"""

from __future__ import annotations

import math

NONE = -50.0  # the log of an e-value of nothing, kept finite for the records


def tuning(alpha: float, n: float) -> float:
    """ρ² of the sequence that is narrowest at *n* (Waudby-Smith et al. 2021, appendix B.2)."""
    level = -2.0 * math.log(2.0 * alpha)
    return (level + math.log(level) + 1.0) / n


def radius(n: float, variance: float, alpha: float, rho2: float) -> float:
    """One-sided radius of the asymptotic confidence sequence of a mean.

        σ̂ · √( 2(nρ²+1)/(n²ρ²) · ln(1 + √(nρ²+1)/(2α)) )

    With probability 1 − α, asymptotically, mean − radius is below the truth at all times together.
    Reference: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, "Time-uniform central limit theory
    and asymptotic confidence sequences", 2021, section 3.

    Args:
        n: number of observations, or the weight Σ n_c n_s/(n_c + n_s) of a two-sample difference.
        variance: σ̂² of one observation.
        alpha: level, below 1/2.
        rho2: ρ², see `tuning`.
    """
    if n <= 0.0:
        return math.inf
    spread = n * rho2 + 1.0
    bound = 2.0 * spread / (n * n * rho2) * math.log1p(math.sqrt(spread) / (2.0 * alpha))
    return math.sqrt(variance * bound)


def log_e(estimate: float, n: float, variance: float, rho2: float) -> float:
    """Log e-value against "the mean is at most 0": the 1/α at which *estimate* is the radius.

    Examples:
        >>> rho2 = tuning(0.01, 500)
        >>> round(math.exp(-log_e(radius(300, 2.0, 0.01, rho2), 300, 2.0, rho2)), 9)
        0.01
    """
    if n <= 0.0 or estimate <= 0.0:
        return NONE
    if variance <= 0.0:
        return math.inf
    spread = n * rho2 + 1.0
    x = estimate * estimate * n * n * rho2 / (2.0 * spread * variance)
    grown = x if x > 30.0 else math.log(math.expm1(x))
    return max(NONE, math.log(2.0) + grown - 0.5 * math.log(spread))

"""Do the arms get their shares of the traffic? If not, the assignment is broken."""

from __future__ import annotations

import math

from scipy import special

CONCENTRATION = 100.0  # requests that the prior about the share is worth


def log_e(candidate: int, stable: int, share: float, tolerance: float = 1.0) -> float:
    r"""Log e-value against "the odds of the candidate are those of *share*, but for *tolerance*".

    With the prior Beta(cρ, c(1−ρ)) on the candidate's part of the requests, c = CONCENTRATION,

        E = B(cρ + k_c, c(1−ρ) + k_s) / B(cρ, c(1−ρ)) / max_r r^k_c (1−r)^k_s,

    where r runs over the shares whose odds are within a factor *tolerance* of ρ's. Without
    tolerance it is the sequential multinomial test for two arms (Lindon & Malek, "Anytime-valid
    inference for multinomial count data", NeurIPS 2022, section 3), a martingale under the null;
    the maximum makes E at most that of each share within the tolerance, so that the level holds
    for all of them (universal inference; Wasserman, Ramdas & Balakrishnan, PNAS 2020).

    Args:
        candidate: k_c, requests of the candidate.
        stable: k_s, requests of the stable arm.
        share: ρ, between 0 and 1 exclusive.
        tolerance: Factor of the odds, at least 1.

    Raises:
        ValueError: a count is negative, the share is not inside (0, 1), or tolerance is below 1.

    Examples:
        >>> log_e(0, 0, 0.1)
        0.0
        >>> log_e(100, 900, 0.1) < 0 < log_e(300, 700, 0.1, tolerance=1.25)
        True
    """
    if min(candidate, stable) < 0:
        raise ValueError(f"counts must not be negative, got {candidate} and {stable}")
    if not 0.0 < share < 1.0:
        raise ValueError(f"share must lie between 0 and 1, exclusive, got {share}")
    if tolerance < 1.0:
        raise ValueError(f"tolerance must be at least 1, got {tolerance}")
    total = candidate + stable
    if not total:
        return 0.0
    odds = share / (1.0 - share)
    low, high = (x / (1.0 + x) for x in (odds / tolerance, odds * tolerance))
    nearest = min(max(candidate / total, low), high)
    a, b = CONCENTRATION * share, CONCENTRATION * (1.0 - share)
    marginal = float(special.betaln(a + candidate, b + stable) - special.betaln(a, b))
    return marginal - candidate * math.log(nearest) - stable * math.log1p(-nearest)

"""Do more of the events fall on the candidate than its share of the units explains?"""

from __future__ import annotations

import math
from collections.abc import Iterable

from scipy import special

ODDS = (1.15, 1.35, 1.7, 2.3, 3.5, 6.0, 12.0, 30.0)


def log_e(candidate: int, stable: int, share: float) -> float:
    r"""Log e-value against "an event is the candidate's with a probability of at most *share*".

    Whatever the rate of events and however it changes, under the null each event belongs to the
    candidate with probability ρ. With k_c and k_b events so far and a uniform prior on the
    candidate's probability over (ρ, 1) (Beta(1, 1), truncated),

        E = B(1+k_c, 1+k_b) · P(Beta(1+k_c, 1+k_b) > ρ) / [(1−ρ) · ρ^k_c · (1−ρ)^k_b].

    E is a nonnegative martingale under the null, so P(E ever ≥ 1/α) ≤ α (Ville): it may be looked
    at after every event. Reference: Lindon & Malek, "Anytime-valid inference for multinomial count
    data", NeurIPS 2022.

    Args:
        candidate: k_c, events of the candidate; each unit counted once.
        stable: k_b, events of the stable arm.
        share: ρ, the candidate's share of the units, between 0 and 1 exclusive.

    Raises:
        ValueError: a count is negative or the share is not inside (0, 1).

    Examples:
        >>> log_e(0, 0, 0.1)
        0.0
        >>> round(log_e(10, 10, 0.1), 2)
        9.01
    """
    if min(candidate, stable) < 0:
        raise ValueError(f"counts must not be negative, got {candidate} and {stable}")
    if not 0.0 < share < 1.0:
        raise ValueError(f"share must lie between 0 and 1, exclusive, got {share}")
    if candidate == stable == 0:
        return 0.0
    a, b = 1 + candidate, 1 + stable
    tail = float(special.betaincc(a, b, share))
    if tail < 1e-290:
        return _far_below(a, b, share)
    return (
        float(special.betaln(a, b))
        + math.log(tail)
        - math.log1p(-share)
        - candidate * math.log(share)
        - stable * math.log1p(-share)
    )


def _far_below(a: int, b: int, share: float) -> float:
    """Log E where P(Beta(a, b) > ρ) underflows: all events, so to speak, are the stable arm's.

    P(Beta(a,b) > ρ) = ρ^a (1−ρ)^b / (b B(a,b)) · ₂F₁(a+b, 1; b+1; 1−ρ) (DLMF 8.17.8), so that
    everything but ρ/b · ₂F₁ cancels; the terms of ₂F₁ fall geometrically there.
    """
    total = term = 1.0
    j = 0
    while term > total * 1e-16:
        term *= (a + b + j) / (b + 1 + j) * (1.0 - share)
        total += term
        j += 1
    return math.log(share) - math.log(b) + math.log(total)


def log_e_by_share(tallies: Iterable[tuple[int, int, int]], buckets: int = 10_000) -> float:
    """Log e-value over times of different shares: the product of one e-value per share.

    Each factor is a martingale while its share is in force and constant otherwise, so the product
    is one too: given the past, only one factor moves, and its conditional mean does not rise.

    Args:
        tallies: (share in units of 1/buckets, events of the candidate, events of the stable arm).
            A share of 0 or all units gives no comparison and is passed over.
        buckets: of which the share is a count.
    """
    return math.fsum(
        log_e(candidate, stable, share / buckets)
        for share, candidate, stable in tallies
        if 0 < share < buckets
    )


def odds_increments(candidate: int, events: int, share: float) -> tuple[float, ...]:
    """Log likelihood ratios of the ODDS for events known by request, not by unit.

    Given which requests failed, the candidate's part is hypergeometric under the null; a tilted
    binomial bounds it, because sampling without replacement is smaller in convex order
    (Hoeffding 1963): E[ψ^k_c] ≤ (1 − ρ + ρψ)^k. So each ψ^k_c / (1 − ρ + ρψ)^k is an e-value with
    ρ the candidate's part of the requests, which may differ from minute to minute.

    Args:
        candidate: k_c, failed requests of the candidate.
        events: k, failed requests of both arms.
        share: ρ, the candidate's part of the requests of the same minute.
    """
    return tuple(
        candidate * math.log(odds) - events * math.log1p(share * (odds - 1.0)) for odds in ODDS
    )

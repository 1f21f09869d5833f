"""The trigger that takes a candidate back within a minute, before any sequential test could."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from scipy import special

from processors.actuate.policy import ActuatePolicy
from schemas.window import EnrichedWindow

SIGMAS = 5.0
CHANCE = 2.8e-7  # beyond that many sigmas; 1,440 looks make 0.04 percent


def critical(
    policy: ActuatePolicy,
    stable: Sequence[EnrichedWindow],
    candidate: Sequence[EnrichedWindow],
    chance: float = CHANCE,
) -> str | None:
    """Whether the candidate fails so often in one minute that nobody should wait.

    Fires when, in this minute, the candidate had at least `critical_requests` requests, more than
    `critical_error_rate` of them failed, and chance does not explain that the failures fell on it:
    given K buckets of units with an error, were the candidate no worse, the number in which its
    units alone failed would at most be binomial (K, its part of the requests). A bucket counts
    once, so that one broken session is one error, and where units of both failed it is the stable
    config's. An outage of both cohorts, or a scope that fails in 5 % of its requests anyway, so
    costs no good candidate its rollout, however many buckets its units fill. The share does not
    enter, so every minute may be looked at.

    Where the stable config had no request there is nothing to compare with: the lower Wilson bound
    of the candidate's own rate must be above the limit.

    Args:
        policy: Holds the two limits.
        stable: The stable cohort's rows of the minute, may be empty.
        candidate: The candidate's rows of the minute.
        chance: How improbable the failures must be where the stable config is compared with.

    Returns:
        A sentence, or None.

    References:
        J. Przyborowski, H. Wilenski, Homogeneity of results in testing samples from Poisson
        series, Biometrika 31 (1940) 313-323. E. B. Wilson, Probable inference, the law of
        succession, and statistical inference, JASA 22 (1927) 209-212.
    """
    requests, errors = _counts(candidate)
    limit = policy.critical_error_rate
    if requests < policy.critical_requests or errors <= limit * requests:
        return None
    seen = (
        f"Critical: {errors} of {requests} requests of the candidate failed within one minute "
        f"({errors / requests:.1%}, limit {limit:.1%})"
    )
    served, failed = _counts(stable)
    units, theirs = _failed_units(candidate), _failed_units(stable)
    if not served:
        return f"{seen}." if lower(alone(errors, units), requests) > limit else None
    mine, others = alone(errors, units, theirs), alone(failed, theirs)
    if not more(mine, others, requests / (requests + served), chance):
        return None
    return f"{seen}, {failed / served:.1%} of the stable config's."


def _counts(rows: Sequence[EnrichedWindow]) -> tuple[int, int]:
    """Requests and errors."""
    return sum(row.window.requests for row in rows), sum(row.window.errors for row in rows)


def _failed_units(rows: Sequence[EnrichedWindow]) -> frozenset[int]:
    """Buckets of units that saw an error."""
    return frozenset(unit for row in rows for unit in row.window.error_units)


def alone(errors: int, units: frozenset[int], others: frozenset[int] = frozenset()) -> int:
    """Buckets that failed in one arm and not in the *others*; the errors where none is named."""
    return min(errors, len(units - others)) if units else errors


def more(mine: float, theirs: float, part: float, chance: float) -> bool:
    """Whether *mine* of all bad ones are more than a *part* of them is but for *chance*.

    The upper tail of the binomial is an incomplete beta function.
    """
    return mine > 0.0 and bool(special.betainc(mine, theirs + 1.0, part) <= chance)


def lower(errors: int, n: int) -> float:
    """Lower bound of Wilson's interval for a rate, 5 standard deviations down; n > 0."""
    rate, z2 = errors / n, SIGMAS**2
    centre = rate + z2 / (2 * n)
    spread = SIGMAS * sqrt(rate * (1 - rate) / n + z2 / (4 * n * n))
    return (centre - spread) / (1 + z2 / n)

"""The trigger that takes a candidate back within a minute, before any sequential test could."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from processors.actuate.policy import ActuatePolicy
from schemas.window import EnrichedWindow

SIGMAS = 4.5  # one-sided p = 3e-6: a day of looks stays far below the guardrails' own level


def critical(
    policy: ActuatePolicy, stable: Sequence[EnrichedWindow], candidate: Sequence[EnrichedWindow]
) -> str | None:
    """Whether the candidate fails so often in one minute that nobody should wait.

    Fires when, in this minute, the candidate had at least `critical_requests` requests, more than
    `critical_error_rate` of them failed, and the lower Wilson bound of its rate (at 4.5 standard
    deviations, each unit's errors counted once, so that one broken session is one error) is above
    the rate that the stable config had in the same minute. Without the last, a scope that always
    fails in 5 % of its requests, or an outage that hits both, would cost a good candidate its
    rollout. The share does not enter, so every minute may be looked at.

    Args:
        policy: Holds the two limits.
        stable: The stable cohort's rows of the minute, may be empty: then any such rate fires.
        candidate: The candidate's rows of the minute.

    Returns:
        A sentence, or None.

    References:
        E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA
        22 (1927) 209-212.
    """
    requests, errors = _counts(candidate)
    if requests < policy.critical_requests or errors <= policy.critical_error_rate * requests:
        return None
    served, failed = _counts(stable)
    control = failed / served if served else 0.0
    if _lower(min(errors, _failed_units(candidate)), requests) <= control:
        return None
    return (
        f"Critical: {errors} of {requests} requests of the candidate failed within one minute "
        f"({errors / requests:.1%}, limit {policy.critical_error_rate:.1%}), "
        f"{control:.1%} of the stable config's."
    )


def _counts(rows: Sequence[EnrichedWindow]) -> tuple[int, int]:
    """Requests and errors."""
    return sum(row.window.requests for row in rows), sum(row.window.errors for row in rows)


def _failed_units(rows: Sequence[EnrichedWindow]) -> int:
    """Units that saw an error; the errors themselves where requests carry no unit."""
    units = {unit for row in rows for unit in row.window.error_units}
    return len(units) or sum(row.window.errors for row in rows)


def _lower(errors: int, n: int) -> float:
    """Lower bound of Wilson's interval for a rate."""
    rate, z2 = errors / n, SIGMAS**2
    centre = rate + z2 / (2 * n)
    spread = SIGMAS * sqrt(rate * (1 - rate) / n + z2 / (4 * n * n))
    return (centre - spread) / (1 + z2 / n)

"""Whether the split is what it should be: sample ratio mismatch, discounted for sessions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from processors.stats import sample_ratio
from processors.stats.dispersion import Dispersion
from schemas.scope import BUCKETS

LEVEL = 0.005  # of rollouts with a right assignment, at most so many are ever called mismatched
TOLERANCE = 1.25  # factor of the odds: slow answers and retries change how many requests come
BROKEN = "the assignment is broken, so the cohorts cannot be compared"
INFLATED = 12.0  # requests of one unit are in one arm: what φ starts from


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Requests of both arms at each share, and how their split scatters."""

    tallies: tuple[tuple[int, int, int], ...] = ()  # (share, candidate's requests, stable's)
    scatter: Dispersion = field(default_factory=Dispersion)


def observe(assignment: Assignment, stable: int, candidate: int, share: int) -> Assignment:
    """Add the requests of one minute; at a share of none or of all there is nothing to split."""
    n = stable + candidate
    if not n or not 0 < share < BUCKETS:
        return assignment
    tallies = {tally[0]: tally for tally in assignment.tallies}
    _, k_candidate, k_stable = tallies.get(share, (share, 0, 0))
    tallies[share] = (share, k_candidate + candidate, k_stable + stable)
    part = share / BUCKETS
    # Scaled so that independent requests have variance 1: then φ is the scatter itself.
    return Assignment(
        tallies=tuple(sorted(tallies.values())),
        scatter=assignment.scatter.count(
            part * (1.0 - part) * n, n, (candidate - part * n,), (float(n),)
        ),
    )


def mismatch(assignment: Assignment) -> str:
    """The sentence that says how the split is off; "" where it may be right.

    The e-value of each share (`sample_ratio.log_e`), multiplied, to the power 1/φ: n requests in
    sessions of one unit say as much as n/φ units do. The minutes about a step are not in it.
    """
    scatter = assignment.scatter
    if not assignment.tallies:
        return ""
    log_e = math.fsum(
        sample_ratio.log_e(candidate, stable, share / BUCKETS, TOLERANCE)
        for share, candidate, stable in assignment.tallies
    )
    if log_e / scatter.inflation(prior=INFLATED) < -math.log(LEVEL):
        return ""
    n = sum(candidate + stable for _, candidate, stable in assignment.tallies)
    served = sum(candidate for _, candidate, _ in assignment.tallies)
    due = math.fsum(
        (candidate + stable) * share / BUCKETS for share, candidate, stable in assignment.tallies
    )
    return (
        f"The candidate served {served / n:.2%} of {n:,} requests and should have served "
        f"{due / n:.2%}: {BROKEN}. See that "
        "every instance of the application applies the split and reports the cohort it served."
    )

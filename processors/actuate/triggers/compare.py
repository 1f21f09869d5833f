"""Whether chance explains that one config looks worse than what it is compared with."""

from __future__ import annotations

from math import inf, sqrt

from processors.actuate.critical import CHANCE, SIGMAS, alone, lower, more
from processors.actuate.triggers.sample import Sample
from processors.stats.dispersion import Dispersion
from schemas.trigger import Trigger

START = 4.0  # inflation that is assumed until a config's own minutes have shown theirs


def worse(trigger: Trigger, suspect: Sample, other: Sample, spread: Dispersion) -> bool:
    """Whether *suspect* is worse than *other* beyond 5 standard deviations of chance.

    So far beyond, that a trigger may look every minute: 1,440 looks make 0.04 percent. A share:
    given the bad ones of both, were the suspect no worse, the number that are its own would be
    binomial with its part of all requests (Przyborowski & Wilenski 1940). A mean: Welch's z. Both
    are discounted for requests that share their fate: errors by counting a bucket of units once,
    for the suspect only where no unit of the other failed in it, all else by the dispersion of the
    minutes before the window (see processors.stats.dispersion), which is at least `START`, since
    sessions decide whether their requests are slow, dear or poor.

    Nothing to compare with is no evidence; only an error rate speaks for itself, when its lower
    Wilson bound is above the limit.

    Args:
        trigger: Names the metric.
        suspect: All values of the window.
        other: What they are compared with.
        spread: Of the minutes before the window.

    References:
        J. Przyborowski, H. Wilenski, Homogeneity of results in testing samples from Poisson
        series, Biometrika 31 (1940) 313-323. B. L. Welch, The significance of the difference
        between two means when the population variances are unequal, Biometrika 29 (1938) 350-362.
    """
    if trigger.metric == "error_rate":
        return _more_errors(suspect, other, trigger.limit)
    if suspect.n < 2 or other.n < 2:
        return False
    inflation = max(START, spread.inflation())
    if trigger.metric == "p95_latency_ms":
        part = suspect.n / (suspect.n + other.n)
        return more(suspect.bad / inflation, other.bad / inflation, part, CHANCE)
    return _z(trigger, suspect, other) >= SIGMAS * sqrt(inflation)


def _more_errors(suspect: Sample, other: Sample, limit: float) -> bool:
    units, theirs = frozenset(suspect.units), frozenset(other.units)
    if not other.n:
        return lower(alone(suspect.bad, units), suspect.n) > limit
    part = suspect.n / (suspect.n + other.n)
    return more(alone(suspect.bad, units, theirs), alone(other.bad, theirs), part, CHANCE)


def _z(trigger: Trigger, suspect: Sample, other: Sample) -> float:
    """How many standard errors the suspect's mean is on the bad side.

    Where of *other* the mean alone is known (a past whose cost was priced from its tokens), its
    values are taken to scatter as the suspect's do.
    """
    variance = suspect.squares / (suspect.n - 1)
    theirs = other.squares / (other.n - 1) if other.squares else variance
    difference = suspect.mean - other.mean
    if trigger.metric == "quality":
        difference = -difference
    error = sqrt(variance / suspect.n + theirs / other.n)
    if error == 0.0:
        return inf if difference > 0.0 else 0.0
    return difference / error

"""Errors: each bucket of units counted once, tested against the candidate's share of the units."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from processors.actuate.guardrails.arms import Arm
from processors.actuate.guardrails.reading import (
    Levels,
    Reading,
    Standing,
    reading_of,
    standing_of,
)
from processors.stats import mixture, two_rates
from processors.stats.contrast import Contrast, Moments
from schemas.scope import BUCKETS

FORGET = 60  # minutes after which a unit's error counts again
BURN_IN = 50  # requests of the candidate before its error rate is bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Evidence on errors.

    Units are known by bucket, and a bucket holds units of both arms, for another hash decides in
    which arm a unit is. A bucket that fails again and again is one event, and the candidate's only
    when in its minute no unit of the stable arm failed in it. It counts again after an hour, lest
    one outage of everything blind the test.

    Were the candidate no worse, each of a bucket's m failing units would be the candidate's with a
    probability of at most the share ρ, so that all of them are with at most ρᵐ ≤ ρ: at every load
    and share. Whose the first of them was has the probability ρ itself, whatever came before, so
    that the e-value of the firsts is a test martingale; ours has as many events and no more of the
    candidate's, and so is never above it, not within a minute either.
    """

    tallies: tuple[tuple[int, int, int], ...] = ()  # (share, candidate's buckets, stable's)
    seen: bytes = b""  # bit set of the unit buckets counted lately
    age: int = 0  # minutes since it was empty
    logs: tuple[float, ...] = ()  # log e-values of errors that came without a unit, per ODDS
    rates: Contrast = field(default_factory=Contrast)


def observe(errors: Errors, stable: Arm, candidate: Arm, share: int) -> Errors:
    """Add one minute."""
    counted = replace(
        errors,
        age=errors.age + 1,
        rates=errors.rates.add(_moments(stable), _moments(candidate)),
    )
    if not stable.errors + candidate.errors:
        return counted
    if not stable.units and not candidate.units:
        return _by_request(counted, stable, candidate)
    return _by_unit(counted, stable, candidate, share)


def _moments(arm: Arm) -> Moments:
    rate = arm.errors / arm.requests if arm.requests else 0.0
    return Moments(arm.requests, rate, arm.requests * rate * (1.0 - rate))


def _by_unit(errors: Errors, stable: Arm, candidate: Arm, share: int) -> Errors:
    stale = not errors.seen or errors.age > FORGET
    seen = (
        np.zeros(BUCKETS, dtype=np.uint8)
        if stale
        else np.unpackbits(np.frombuffer(errors.seen, dtype=np.uint8))
    )
    fresh = []
    for units in (candidate.units - stable.units, stable.units):
        at = np.array(sorted(units), dtype=np.int64)
        fresh.append(int((1 - seen[at]).sum()))
        seen[at] = 1
    tallies = {tally[0]: tally for tally in errors.tallies}
    _, k_candidate, k_stable = tallies.get(share, (share, 0, 0))
    tallies[share] = (share, k_candidate + fresh[0], k_stable + fresh[1])
    return replace(
        errors,
        tallies=tuple(sorted(tallies.values())),
        seen=np.packbits(seen).tobytes(),
        age=0 if stale else errors.age,
    )


def _by_request(errors: Errors, stable: Arm, candidate: Arm) -> Errors:
    """No unit is known: compare with the minute's requests, discounted later by φ."""
    if not stable.requests or not candidate.requests:
        return errors
    share = candidate.requests / (stable.requests + candidate.requests)
    gains = two_rates.odds_increments(candidate.errors, stable.errors + candidate.errors, share)
    before = errors.logs or (0.0,) * len(gains)
    return replace(errors, logs=tuple(x + y for x, y in zip(before, gains, strict=True)))


def read(errors: Errors, levels: Levels) -> Reading:
    """The figures so far; harm is the difference of the error rates."""
    rates = errors.rates
    log_e = two_rates.log_e_by_share(errors.tallies) + mixture.tempered(
        errors.logs, rates.inflation
    )
    return reading_of(rates, log_e, standing(errors), levels)


def standing(errors: Errors) -> Standing | None:
    """The difference of the rates; None while too little is known.

    Its variance is that with one more failure and success than there were: no error in few
    requests is not the proof of none.
    """
    rates = errors.rates
    if rates.candidate_n < BURN_IN or not rates.weight:
        return None
    variance = (rates.same.squares[0] + 1.0) / (rates.same.freedom + 2.0)
    return standing_of(rates, variance * rates.inflation)

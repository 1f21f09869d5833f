"""What fails in both cohorts at once takes no candidate back, however many requests that is."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest
from scipy import stats

from processors.actuate.critical import critical
from processors.actuate.guardrails import errors
from processors.actuate.guardrails.arms import Arm
from processors.actuate.guardrails.reading import Levels
from processors.actuate.policy import ActuatePolicy
from processors.actuate.triggers.compare import worse
from processors.actuate.triggers.sample import Sample
from processors.stats.dispersion import Dispersion
from schemas.scope import BUCKETS
from schemas.trigger import Trigger

ALPHA = 0.03
LIMIT = -math.log(ALPHA)
ERRORS = Trigger(id="errors", metric="error_rate", limit=0.1)
LOOKS = 6  # of a minute
OUTAGES = [  # requests a minute, candidate's share of the units, error rate, minutes
    (5_000, 500, 1.0, 5),
    (10_000, 500, 1.0, 3),
    (10_000, 5_000, 0.5, 10),
    (10_000, 9_500, 1.0, 3),
    (50_000, 100, 0.1, 10),
    (100_000, 500, 1.0, 1),
    (50_000, 5_000, 0.02, 15),
]


def minute(
    chance: np.random.Generator, requests: int, share: int, rate: float, harm: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each request, in their order: is it the candidate's, did it fail, its unit's bucket."""
    candidate = chance.random(requests) < share / BUCKETS
    bad = chance.random(requests) < rate * np.where(candidate, harm, 1.0)
    return candidate, bad, chance.integers(0, BUCKETS, requests)


def arms(candidate: np.ndarray, bad: np.ndarray, bucket: np.ndarray) -> tuple[Arm, Arm]:
    """Stable and candidate."""
    stable, tried = (
        Arm(
            requests=int(mine.sum()),
            errors=int((mine & bad).sum()),
            units=frozenset(bucket[mine & bad].tolist()),
        )
        for mine in (~candidate, candidate)
    )
    return stable, tried


def sample(arm: Arm) -> Sample:
    return Sample(n=arm.requests, bad=arm.errors, units=tuple(sorted(arm.units)))


@pytest.mark.parametrize(("requests", "share", "rate", "minutes"), OUTAGES)
def test_an_outage_of_both_is_no_evidence_against_the_candidate_at_any_look(
    requests: int, share: int, rate: float, minutes: int
) -> None:
    """Calibration: arms that do not differ, six looks a minute."""
    runs, wrong = 40, 0
    for seed in range(runs):
        chance, evidence, worst = np.random.default_rng(seed), errors.Errors(), -math.inf
        for _ in range(minutes):
            columns = minute(chance, requests, share, rate)
            found = evidence
            for look in range(1, LOOKS + 1):
                seen = arms(*(each[: requests * look // LOOKS] for each in columns))
                found = errors.observe(evidence, *seen, share)
                worst = max(worst, errors.read(found, Levels(ALPHA, ALPHA)).log_e)
            evidence = found
        wrong += worst >= LIMIT

    assert stats.binomtest(wrong, runs, ALPHA, alternative="greater").pvalue > 1e-3


@pytest.mark.parametrize(("requests", "share", "rate", "minutes"), OUTAGES)
def test_a_minute_in_which_both_fail_fires_neither_the_critical_nor_a_declared_trigger(
    world: ModuleType, requests: int, share: int, rate: float, minutes: int
) -> None:
    for seed in range(20 + minutes):
        stable, tried = arms(*minute(np.random.default_rng(seed), requests, share, rate))
        rows = [
            [world.row(world.T0, arm.requests, errors=arm.errors, units=tuple(arm.units))]
            for arm in (stable, tried)
        ]

        assert critical(ActuatePolicy(), *rows) is None
        assert not worse(ERRORS, sample(tried), sample(stable), Dispersion())


@pytest.mark.parametrize("requests", [5_000, 50_000, 200_000])
@pytest.mark.parametrize(("share", "harm"), [(100, 30.0), (500, 30.0), (5_000, 3.0)])
def test_a_candidate_that_alone_fails_is_found_at_high_load(
    requests: int, share: int, harm: float
) -> None:
    chance = np.random.default_rng(1)
    found = arms(*minute(chance, requests, share, 0.01, harm))
    evidence = errors.observe(errors.Errors(), *found, share)

    assert errors.read(evidence, Levels(ALPHA, ALPHA)).log_e >= LIMIT


def test_a_bucket_in_which_both_failed_is_the_stable_arms() -> None:
    both = Arm(requests=10, errors=2, units=frozenset({1, 2}))
    tried = Arm(requests=10, errors=2, units=frozenset({2, 3}))

    assert ((500, 1, 2),) == errors.observe(errors.Errors(), both, tried, 500).tallies

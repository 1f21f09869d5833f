"""What came of changes like this one, lately?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from processors.predict.features import features, name_of
from processors.predict.history import Outcome, PredictPolicy, Proposal

Floats = npt.NDArray[np.float64]

ELSEWHERE = 0.5  # what an outcome of another scope is like, at most
OTHERS = 0.5  # what a change between other models is like, for each end that differs


class Guess(NamedTuple):
    """A value on a metric's scale, before anything is seen."""

    mean: float
    sd: float


def recency(policy: PredictPolicy, outcomes: Sequence[Outcome], at: int) -> Floats:
    """What each outcome [n] weighs for its age, 1 down to 0."""
    age = np.array([max(0, at - each.proposal.at) for each in outcomes], dtype=np.float64)
    return np.exp2(-age / policy.half_life_ms)


def likeness(outcomes: Sequence[Outcome], change: Proposal) -> Floats:
    """How like *change* each outcome's was [n], 0 to 1: by features, scope and the two models."""
    if not outcomes:
        return np.empty(0)
    away = np.array([features(each.proposal) for each in outcomes]) - features(change)
    near = np.exp(-0.5 * (away**2).sum(axis=1))
    other = np.array([each.proposal.scope != change.scope for each in outcomes])
    ends = np.array([_ends(each.proposal, change) for each in outcomes])
    alike: Floats = near * np.where(other, ELSEWHERE, 1.0) * OTHERS**ends
    return alike


def similar(weights: Floats, changes: Floats, spread: float) -> Guess:
    """The mean of past *changes* [n] by *weights* [n], beside one change of 0 that weighs 1.

    The one stands for all that was never tried: far from every outcome the guess is "nothing
    changes", give or take the spread. Reference: Nadaraya, "On estimating regression", 1964.

    >>> similar(np.array([1.0, 1.0]), np.array([0.3, 0.3]), 0.5).mean
    0.19999999999999998
    """
    whole = float(weights.sum()) + 1.0
    mean = float(weights @ changes) / whole
    variance = (float(weights @ (changes - mean) ** 2) + spread**2 + mean**2) / whole
    return Guess(mean, float(np.sqrt(variance * (1 + 1 / whole))))


def _ends(one: Proposal, two: Proposal) -> int:
    """How many of the models before and after differ."""
    return sum(
        name_of(a.config) != name_of(b.config)
        for a, b in ((one.before, two.before), (one.after, two.after))
    )

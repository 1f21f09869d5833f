"""What each method says of one metric after a change, and what they say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
import numpy.typing as npt

from processors.predict.calibrate import width
from processors.predict.combine import combine, shares
from processors.predict.features import features
from processors.predict.forecast import Expected
from processors.predict.history import Memory, Outcome, PredictPolicy, Proposal
from processors.predict.matrix import matrix
from processors.predict.regress import regress
from processors.predict.scales import SCALES, Scale
from processors.predict.similar import Guess, likeness, recency, similar

Floats = npt.NDArray[np.float64]

MIX = 0.1  # standard deviation of a price's cost, on the scale: requests are not all alike
DOUBTED = 0.05  # least part of the spread that a standard deviation is


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One metric after a change, on its scale."""

    guesses: Mapping[str, Guess]  # by method
    shares: Mapping[str, float]  # by method
    together: Guess


def foresee(
    policy: PredictPolicy, memory: Memory, change: Proposal, metric: str
) -> Foreseen | None:
    """The guesses of all methods; None when the scope has no level of the metric now.

    "unchanged" says that nothing changes and "price", of costs, that they follow the list price;
    "similar", "regression" and "matrix" need outcomes of the metric.

    Raises:
        ValueError: a metric without a scale.
    """
    if metric not in SCALES:
        raise ValueError(f"nothing is known of {metric!r}; there are {', '.join(SCALES)}")
    if metric not in change.current:
        return None
    scale = SCALES[metric]
    now = scale.on(change.current[metric])
    steps = {"unchanged": Guess(0.0, scale.spread)}
    if metric == "cost_per_request_usd" and change.before.cost and change.after.cost:
        steps["price"] = Guess(log(change.after.cost / change.before.cost), MIX)
    known = told(memory.outcomes, metric)
    if known:
        fresh, changes = recency(policy, known, change.at), changed(known, metric, scale)
        steps["similar"] = similar(fresh * likeness(known, change), changes, scale.spread)
        past = np.array([features(each.proposal) for each in known])
        steps["regression"] = regress(past, changes, fresh, scale.spread).guess(features(change))
    guesses = {
        method: Guess(now.value + step.mean, sqrt(step.sd**2 + now.error**2))
        for method, step in steps.items()
    }
    if known and (found := matrix(policy, known, change, metric, scale)) is not None:
        guesses["matrix"] = found
    guesses = {
        method: Guess(guess.mean, max(guess.sd, DOUBTED * scale.spread))
        for method, guess in guesses.items()
    }
    tallies = {
        method: tally
        for method in guesses
        if (tally := memory.tallies.get(f"{metric}/{method}")) is not None
    }
    parts = shares(guesses, tallies)
    return Foreseen(guesses, parts, combine(guesses, parts))


def told(outcomes: Sequence[Outcome], metric: str) -> tuple[Outcome, ...]:
    """The outcomes that tell of a metric before and after."""
    return tuple(
        each for each in outcomes if metric in each.reached and metric in each.proposal.current
    )


def changed(outcomes: Sequence[Outcome], metric: str, scale: Scale) -> Floats:
    """By how much each changed the metric, on its scale."""
    return np.array(
        [
            scale.on(each.reached[metric]).value - scale.on(each.proposal.current[metric]).value
            for each in outcomes
        ]
    )


def expected(
    policy: PredictPolicy, memory: Memory, change: Proposal, metric: str, seen: Foreseen
) -> Expected:
    """The same in the metric's unit, its range as wide as past predictions were off."""
    scale, (mean, sd) = SCALES[metric], seen.together
    radius = sd * width(memory.scores.get(metric, ()), policy.level)
    return Expected(
        current=change.current[metric].value,
        predicted=scale.back(mean),
        low=scale.back(mean - radius),
        high=scale.back(mean + radius),
        confidence=max(0.0, 1 - (sd / scale.spread) ** 2),
        shares=seen.shares,
    )

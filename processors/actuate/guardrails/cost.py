"""Cost: a confidence sequence of the difference of means, bets on it, and a shift of the whole."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from processors.actuate.guardrails import shape
from processors.actuate.guardrails.arms import Arm
from processors.actuate.guardrails.reading import (
    TUNED,
    Levels,
    Reading,
    Standing,
    mean,
    reading_of,
    standing_of,
)
from processors.actuate.guardrails.shape import Shape
from processors.actuate.reference import NANO, Reference
from processors.stats import betting, confidence, histograms, mixture
from processors.stats.contrast import Contrast
from schemas.window import Histogram

BURN_IN = 100  # requests per arm: the sequence is asymptotic, costs have heavy tails
FLOOR = 0.01  # standard deviations below this part of the mean are taken for rounding
DEARER = 1.6  # standard errors by which the means must agree with a shift of the whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Evidence on cost per request, USD."""

    costs: Contrast = field(default_factory=Contrast)
    logs: tuple[float, ...] = ()  # log wealth per bettor, on cost cut off at p99.9
    moved: Shape = field(default_factory=Shape)
    stable: Histogram = field(default_factory=Histogram)
    candidate: Histogram = field(default_factory=Histogram)


def observe(
    cost: Cost, stable: Arm, candidate: Arm, reference: Reference, chance: np.random.Generator
) -> Cost:
    """Add one minute."""
    logs, moved = cost.logs, cost.moved
    if reference.cost_limit and stable.cost.counts and candidate.cost.counts:
        # The candidate is in the place of the stable arm: positive is dearer.
        d = betting.pair(
            _parts(candidate.cost, reference.cost_limit),
            _parts(stable.cost, reference.cost_limit),
            chance,
        )
        logs = betting.bet(logs, d)
    if reference.cost is not None:
        moved = shape.observe(moved, reference.cost, stable.cost, candidate.cost)
    return Cost(
        costs=cost.costs.add(stable.cost_moments, candidate.cost_moments),
        logs=logs,
        moved=moved,
        stable=histograms.pool((cost.stable, stable.cost)),
        candidate=histograms.pool((cost.candidate, candidate.cost)),
    )


def _parts(histogram: Histogram, limit: float) -> betting.Floats:
    """Costs as parts of *limit*, cut off there."""
    return np.minimum(histograms.sample(histogram) / (NANO * limit), 1.0)


def read(cost: Cost, levels: Levels) -> Reading:
    """The figures so far; harm is the relative rise of the mean cost per request.

    The e-value is the mean of three: of the confidence sequence, of the bets, and of the shifts
    of the whole distribution. The last counts only while the means themselves say "dearer",
    because a candidate may cost less on average with other highs and lows.
    """
    costs, known = cost.costs, standing(cost)
    inflation = costs.inflation
    logs = [mixture.tempered(cost.logs, inflation)]
    if known is None:
        logs += [confidence.NONE, confidence.NONE]
    else:
        rho2 = confidence.tuning(levels.worse, TUNED)
        variance = _variance(costs)
        logs.append(confidence.log_e(costs.difference, costs.weight, variance, rho2))
        dearer = known.harm >= DEARER * known.error
        logs.append(shape.log_e(cost.moved) if dearer else confidence.NONE)
    return reading_of(costs, mixture.log_mean(logs), known, levels)


def standing(cost: Cost) -> Standing | None:
    """The relative rise of the mean cost per request; None while too little is known."""
    costs = cost.costs
    stable = mean(costs.stable_sum, costs.stable_n)
    if min(costs.candidate_n, costs.stable_n) < BURN_IN or not costs.weight or not stable:
        return None
    return standing_of(costs, _variance(costs), stable)


def _variance(costs: Contrast) -> float:
    """φσ² of one request; costs that are all alike are taken for rounded."""
    floor = FLOOR * (mean(costs.stable_sum, costs.stable_n) or 0.0)
    return max(costs.variance, floor**2) * costs.inflation

"""Quality: bets on the differences of concurrent scores."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from processors.actuate.guardrails.arms import Arm
from processors.actuate.guardrails.reading import (
    Levels,
    Reading,
    bounded,
    finite,
    harm_bounds,
    mean,
)
from processors.stats import betting, histograms, mixture
from processors.stats.contrast import Contrast
from schemas.window import Histogram

BURN_IN = 50
SCALE = 100_000.0  # thousandths of a point in the whole range of a score
FLOOR = 0.1  # points²: scores that hardly differ are not known better than that


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Evidence on quality."""

    logs: tuple[float, ...] = ()  # log wealth per bettor
    scores: Contrast = field(default_factory=Contrast)


def observe(quality: Quality, stable: Arm, candidate: Arm, chance: np.random.Generator) -> Quality:
    """Add one minute."""
    logs = quality.logs
    if stable.quality.counts and candidate.quality.counts:
        d = betting.pair(_scores(stable.quality), _scores(candidate.quality), chance)
        before = np.array(logs) if logs else np.zeros(betting.LAMBDAS.size)
        logs = tuple((before + betting.increments(d)).tolist())
    return Quality(
        logs=logs, scores=quality.scores.add(stable.quality_moments, candidate.quality_moments)
    )


def _scores(histogram: Histogram) -> betting.Floats:
    """Scores as parts of 1; a bucket's middle may lie above the largest score."""
    return np.minimum(histograms.sample(histogram) / SCALE, 1.0)


def read(quality: Quality, levels: Levels) -> Reading:
    """The figures so far; harm is the part of the stable arm's mean score that is lost."""
    scores = quality.scores
    inflation = scores.inflation
    stable = mean(scores.stable_sum, scores.stable_n)
    lower, upper = harm_bounds(scores, levels, (scores.variance + FLOOR) * inflation, -1.0)
    known = scores.candidate_n >= BURN_IN and stable
    return Reading(
        log_e=bounded(mixture.tempered(quality.logs, inflation)),
        stable_n=scores.stable_n,
        candidate_n=scores.candidate_n,
        stable_value=stable,
        candidate_value=mean(scores.candidate_sum, scores.candidate_n),
        lower_harm=finite(lower / stable) if known and stable else None,
        upper_harm=finite(upper / stable) if known and stable else None,
    )

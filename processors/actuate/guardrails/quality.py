"""Quality: bets on the differences of concurrent scores."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from processors.actuate.guardrails.arms import Arm
from processors.actuate.guardrails.reading import (
    Levels,
    Reading,
    Standing,
    mean,
    reading_of,
    standing_of,
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
    stable: Histogram = field(default_factory=Histogram)
    candidate: Histogram = field(default_factory=Histogram)


def observe(quality: Quality, stable: Arm, candidate: Arm, chance: np.random.Generator) -> Quality:
    """Add one minute."""
    logs = quality.logs
    if stable.quality.counts and candidate.quality.counts:
        d = betting.pair(_scores(stable.quality), _scores(candidate.quality), chance)
        logs = betting.bet(logs, d)
    return Quality(
        logs=logs,
        scores=quality.scores.add(stable.quality_moments, candidate.quality_moments),
        stable=histograms.pool((quality.stable, stable.quality)),
        candidate=histograms.pool((quality.candidate, candidate.quality)),
    )


def _scores(histogram: Histogram) -> betting.Floats:
    """Scores as parts of 1; a bucket's middle may lie above the largest score."""
    return np.minimum(histograms.sample(histogram) / SCALE, 1.0)


def read(quality: Quality, levels: Levels) -> Reading:
    """The figures so far; harm is the part of the stable arm's mean score that is lost."""
    scores = quality.scores
    log_e = mixture.tempered(quality.logs, scores.inflation)
    return reading_of(scores, log_e, standing(quality), levels)


def standing(quality: Quality) -> Standing | None:
    """The part of the stable arm's mean score that is lost; None while too little is known."""
    scores = quality.scores
    stable = mean(scores.stable_sum, scores.stable_n)
    if scores.candidate_n < BURN_IN or not scores.weight or not stable:
        return None
    return standing_of(scores, (scores.variance + FLOOR) * scores.inflation, stable, -1.0)

"""Interim analyses: a few looks at a rollout that must end by a known time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from processors.actuate.guardrails.reading import Standing
from processors.stats.group_sequential import bounds

ANALYSES = 10  # at every tenth of the longest duration
GROWTH = 1.01  # times the information of the analysis before; less is no new look


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What was known when a tenth of the longest duration had passed."""

    time: float  # part of the longest duration, above 0 and at most 1
    standings: Mapping[str, Standing]  # by metric; one of which too little is known is not there


def due(analyses: Sequence[Analysis], progress: float) -> float | None:
    """The time of the analysis that is to be made now, or None.

    Args:
        analyses: Those that have been made.
        progress: How much of the longest duration has passed, 1 at its end.
    """
    time = min(math.floor(progress * ANALYSES + 1e-9), ANALYSES) / ANALYSES
    last = analyses[-1].time if analyses else 0.0
    return time if time > last else None


def upper_harm(analyses: Sequence[Analysis], metric: str, alpha: float) -> float | None:
    """The least harm that any analysis has shown *metric* to be below; None: none has yet.

    The test of "the harm is at the margin or beyond" rejects at the first analysis whose estimate
    is as many standard errors below the margin as `group_sequential.bounds` ask for, and what it
    has rejected stays so: the smallest of the upper bounds decides.

    Args:
        analyses: Those that have been made, in order.
        metric: Of the guardrail.
        alpha: One-sided level of all analyses together.
    """
    looks: list[tuple[float, Standing]] = []
    for analysis in analyses:
        standing = analysis.standings.get(metric)
        if standing and (not looks or standing.weight >= GROWTH * looks[-1][1].weight):
            looks.append((analysis.time, standing))
    multiples = bounds(
        tuple(time for time, _ in looks), tuple(standing.weight for _, standing in looks), alpha
    )
    shown = [standing.upper(c) for c, (_, standing) in zip(multiples, looks, strict=True)]
    return min((upper for upper in shown if upper is not None), default=None)

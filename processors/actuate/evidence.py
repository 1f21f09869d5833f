"""What the minutes of a rollout have shown so far: sums, never the minutes themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from processors.actuate import assignment
from processors.actuate.analysis import Analysis, due
from processors.actuate.assignment import Assignment
from processors.actuate.guardrails import arms, cost, errors, latency, quality
from processors.actuate.guardrails.cost import Cost
from processors.actuate.guardrails.errors import Errors
from processors.actuate.guardrails.latency import Latency
from processors.actuate.guardrails.quality import Quality
from processors.actuate.reference import Reference, reference
from schemas.scope import BUCKETS
from schemas.window import EnrichedWindow

__all__ = ["Evidence", "Reference", "fresh_evidence", "observe", "reference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that judging needs, of any number of minutes."""

    minutes: int = 0
    stable_requests: int = 0
    candidate_requests: int = 0
    silent_minutes: int = 0  # on end: the stable arm was heard of, the candidate was not
    silent_requests: float = 0.0  # that the candidate should have had in them
    assignment: Assignment = field(default_factory=Assignment)
    errors: Errors = field(default_factory=Errors)
    latency: Latency = field(default_factory=Latency)
    quality: Quality = field(default_factory=Quality)
    cost: Cost = field(default_factory=Cost)
    analyses: tuple[Analysis, ...] = ()  # of a rollout that has a longest duration


def fresh_evidence() -> Evidence:
    """Nothing seen yet."""
    return Evidence()


def observe(
    evidence: Evidence,
    stable: Sequence[EnrichedWindow],
    candidate: Sequence[EnrichedWindow],
    share: int,
    reference: Reference,
    seed: int,
    progress: float | None = None,
) -> Evidence:
    """Add one closed minute; only arms of the same minute are ever compared.

    Args:
        evidence: Of the minutes before.
        stable: The minute's rows of the stable cohort, any number of keys.
        candidate: The minute's rows of the candidate cohort.
        share: The largest share of the units, of 10,000, that the candidate had in that minute.
        reference: The pre-period.
        seed: Shuffles the scores into pairs; a hash of the scope and the window's start.
        progress: How much of the rollout's longest duration has passed with this minute; None
            when it has none.

    Raises:
        ValueError: the share is not within 0 to 10,000.
    """
    if not 0 <= share <= BUCKETS:
        raise ValueError(f"share must be within 0 to {BUCKETS}, got {share}")
    a, b = arms.pool(stable), arms.pool(candidate)
    silent = not b.requests and (a.requests > 0 or evidence.silent_minutes > 0)
    missed = a.requests * share / max(BUCKETS - share, 1)
    chance = np.random.Generator(np.random.PCG64(seed))
    added = Evidence(
        minutes=evidence.minutes + 1,
        stable_requests=evidence.stable_requests + a.requests,
        candidate_requests=evidence.candidate_requests + b.requests,
        silent_minutes=evidence.silent_minutes + 1 if silent else 0,
        silent_requests=evidence.silent_requests + missed if silent else 0.0,
        assignment=assignment.observe(evidence.assignment, a.requests, b.requests, share),
        errors=errors.observe(evidence.errors, a, b, share),
        latency=latency.observe(evidence.latency, a, b, reference),
        quality=quality.observe(evidence.quality, a, b, chance),
        cost=cost.observe(evidence.cost, a, b, reference, chance),
        analyses=evidence.analyses,
    )
    time = None if progress is None else due(evidence.analyses, progress)
    if time is None:
        return added
    standings = {
        metric: standing
        for metric, standing in (
            ("errors", errors.standing(added.errors)),
            ("latency", latency.standing(added.latency)),
            ("quality", quality.standing(added.quality)),
            ("cost", cost.standing(added.cost)),
        )
        if standing is not None
    }
    return replace(added, analyses=(*added.analyses, Analysis(time=time, standings=standings)))

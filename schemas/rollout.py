"""A rollout, told step by step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Phase(StrEnum):
    """Where a rollout is."""

    PENDING = "pending"  # accepted, no traffic yet
    RAMPING = "ramping"  # the candidate serves a growing share
    PAUSED = "paused"  # held by a person; guardrails still judge
    PROMOTED = "promoted"  # the candidate is the new stable
    VERIFIED = "verified"  # a shadow that passed: it served nobody, and stable stays
    ROLLED_BACK = "rolled_back"  # the candidate was worse, or taken back
    REJECTED = "rejected"  # never started; the reason says why


SHIFTS = frozenset({Phase.RAMPING, Phase.PROMOTED, Phase.ROLLED_BACK})
"""After these another share of the traffic has another config."""


class Verdict(IntEnum):
    """Ordered from best to worst, so `max` finds the one to act on."""

    PASS = 0
    INCONCLUSIVE = 1
    FAIL = 2


GUARDRAILS = ("errors", "latency", "quality", "cost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Both cohorts in the textbook's terms, beside the verdict: they never decide.

    Every interval is a 95 % one. All are those of a single look at independent requests; a rollout
    is looked at all the time, which makes them too narrow, and the p-values too small.
    """

    difference: float  # of the means, candidate − stable, in the metric's own unit
    difference_low: float
    difference_high: float
    effect: float  # the same in standard deviations, Hedges' g
    effect_low: float
    effect_high: float
    superiority: float  # chance that the candidate's value is the larger of two
    superiority_low: float
    superiority_high: float
    welch_p: float  # two-sided, Welch's t
    mann_whitney_p: float  # two-sided


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """One guardrail's evidence so far."""

    metric: str  # one of GUARDRAILS
    verdict: Verdict
    log_e: float  # natural log of the e-value against "not worse"
    limit: float  # natural log of 1/α: at or above it the guardrail fails
    stable_n: int
    candidate_n: int
    stable_value: float | None
    candidate_value: float | None
    upper_harm: float | None  # upper bound of the harm, in the margin's unit
    margin: float
    sentence: str
    comparison: Comparison | None = None  # None: fewer than two values somewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One event in the life of a rollout (or of a manual change, with an empty ladder)."""

    id: str  # of the rollout
    scope: str
    revision: int  # of the scope's config after this event
    sequence: int  # of this event within the rollout, from 1
    at: int  # ms, event time
    phase: Phase
    previous: Phase | None
    step: int
    steps: int
    share: int  # hundredths of a percent
    verdict: Verdict
    guardrails: tuple[Guardrail, ...]
    reason: str  # a sentence
    by: str  # "optimizer" or who commanded it
    decision_id: str | None
    stable_version: str | None
    candidate_version: str | None
    stable_model: str | None
    candidate_model: str | None
    strategy: str = ""  # of the catalog; "" for what a person did by hand
    shadow: int = 0  # hundredths of a percent of the units that are copied to the candidate
    asks_until: int | None = None  # ms, event time: up to when it waits for a person's word
    blamed: bool = False  # taken back, and remembered for it: not to be tried again as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at a rollout saw; once a minute while its scope has traffic, paused or not.

    Drawn over time, looks are the evidence: a look that changed nothing has no event.
    """

    id: str  # of the rollout
    scope: str
    at: int  # ms, event time: end of the minute
    share: int  # hundredths of a percent, when it was looked at
    phase: Phase  # when it was looked at, before anything followed
    verdict: Verdict
    guardrails: tuple[Guardrail, ...]  # of all evidence so far
    stable_requests: int  # that the evidence holds, of all minutes so far
    candidate_requests: int
    shadow: int = 0  # hundredths of a percent that were copied, when it was looked at

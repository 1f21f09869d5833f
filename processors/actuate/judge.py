"""Is the candidate worse, good enough, or is it too early to tell?"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from processors.actuate.analysis import ANALYSES, upper_harm
from processors.actuate.assignment import mismatch
from processors.actuate.evidence import Evidence
from processors.actuate.guardrails import cost, errors, latency, quality
from processors.actuate.guardrails.reading import Levels, Reading
from processors.actuate.wording import sentence
from schemas.catalog import Strategy
from schemas.rollout import GUARDRAILS, Guardrail, Verdict

WEIGHTS = {"errors": 0.65, "latency": 0.04, "quality": 0.08, "cost": 0.2}  # parts of α, see 0040
SILENCE = 20.0  # requests that the candidate should have had; e^-20 by chance


@dataclass(frozen=True, slots=True)
class Judgement:
    """All guardrails at one time.

    `sampled`: every required guardrail has compared `min_samples` of the candidate's values (of
    its requests, latencies, scores or costs) with the stable config's of the same minutes, none
    fails, and nothing is in doubt: enough for a larger share. `ready`: every required
    guardrail passes, that is, the candidate is shown to be worse by less than its margin: enough
    to promote. `doubt` says why nothing can be concluded whatever the guardrails say: a required
    check is missing, the candidate is not served, or the assignment is broken; "" if it can.
    """

    verdict: Verdict
    guardrails: tuple[Guardrail, ...]
    ready: bool
    sampled: bool = False
    doubt: str = ""


def judge(strategy: Strategy, evidence: Evidence) -> Judgement:
    """Judge the evidence so far; it may be looked at after every minute and stopped at any.

    A guardrail FAILs when its e-value against "the candidate is not worse" reaches 1/α_g, its part
    α_g = w_g·α of the level (so that jointly, with what the triggers take of α, at most α of
    harmless candidates ever fail, Bonferroni 1936 with weights), and, where the strategy tolerates
    a part of the margin, when the lower bound of the harm is above that part. It PASSes when the
    upper bound of the harm is within the margin, each at the whole level α: all required ones must
    pass, so that a candidate beyond one margin is promoted with a probability of at most α
    (intersection-union test, Berger 1982). Where the strategy has a longest duration, that bound is
    the group-sequential one of its interim analyses, which shows a small harm sooner than one that
    must hold at all times. Else it is INCONCLUSIVE and says why. The verdict is the worst of all
    required guardrails, and of any that fails.
    """
    readings = (
        ("errors", errors.read(evidence.errors, _levels(strategy, "errors"))),
        ("latency", latency.read(evidence.latency, _levels(strategy, "latency"))),
        ("quality", quality.read(evidence.quality, _levels(strategy, "quality"))),
        ("cost", cost.read(evidence.cost, _levels(strategy, "cost"))),
    )
    guardrails = tuple(
        _guardrail(
            strategy,
            metric,
            _planned(strategy, metric, reading, evidence),
            len(evidence.analyses),
        )
        for metric, reading in readings
    )
    required = [g for g in guardrails if g.metric in strategy.required]
    failing = any(g.verdict is Verdict.FAIL for g in guardrails)
    doubt = _missing(strategy) or _silence(evidence) or mismatch(evidence.assignment)
    worst = max((g.verdict for g in required), default=Verdict.INCONCLUSIVE)
    if failing:
        worst = Verdict.FAIL
    elif doubt:
        worst = max(worst, Verdict.INCONCLUSIVE)
    compared = all(
        reading.compared_n >= strategy.min_samples
        for metric, reading in readings
        if metric in strategy.required
    )
    return Judgement(
        verdict=worst,
        guardrails=guardrails,
        ready=worst is Verdict.PASS,
        sampled=compared and not doubt and not failing,
        doubt=doubt,
    )


def _missing(strategy: Strategy) -> str:
    """The sentence that a check which must pass is not there; "" if all are."""
    known = ", ".join(GUARDRAILS)
    missing = [metric for metric in strategy.required if metric not in GUARDRAILS]
    if missing:
        return (
            f"Strategy {strategy.name!r} requires {missing[0]!r}, which no guardrail measures: let "
            f"it require some of {known}."
        )
    if not strategy.required:
        return (
            f"Strategy {strategy.name!r} requires no guardrail, so that nothing can pass: let it "
            f"require some of {known}."
        )
    return ""


def _silence(evidence: Evidence) -> str:
    """The sentence that the candidate is not served; "" if it may be."""
    if evidence.silent_requests < SILENCE:
        return ""
    return (
        f"The candidate has not been heard of for {evidence.silent_minutes} min in which it "
        f"should have served {evidence.silent_requests:.0f} requests. See that the application "
        "serves it and reports its cohort."
    )


def _levels(strategy: Strategy, metric: str) -> Levels:
    return Levels(worse=WEIGHTS[metric] * strategy.alpha, within=_within(strategy))


def _within(strategy: Strategy) -> float:
    """The level of each upper bound of harm.

    To promote, all of them must be within their margins, so each may have the whole level. To win,
    one of an ab's is enough to be below zero (Bonferroni).
    """
    return strategy.alpha / (max(1, len(strategy.required)) if strategy.kind == "ab" else 1)


def _planned(strategy: Strategy, metric: str, reading: Reading, evidence: Evidence) -> Reading:
    """The reading whose upper bound is that of the analyses, where the strategy ends by itself."""
    if strategy.max_duration_s is None:
        return reading
    return replace(reading, upper_harm=upper_harm(evidence.analyses, metric, _within(strategy)))


def _margin(strategy: Strategy, metric: str) -> float:
    return {
        "errors": strategy.error_margin,
        "latency": strategy.latency_margin,
        "quality": strategy.quality_margin,
        "cost": strategy.cost_margin,
    }[metric]


def _guardrail(strategy: Strategy, metric: str, reading: Reading, analyses: int = 0) -> Guardrail:
    limit = -math.log(_levels(strategy, metric).worse)
    margin = _margin(strategy, metric)
    tolerated = strategy.tolerance * margin
    worse = reading.log_e >= limit
    if worse and tolerated > 0.0:
        worse = reading.lower_harm is not None and reading.lower_harm >= tolerated
    if worse:
        verdict = Verdict.FAIL
    elif (
        reading.upper_harm is not None
        and reading.upper_harm <= margin
        and reading.compared_n >= strategy.min_samples
    ):
        verdict = Verdict.PASS
    else:
        verdict = Verdict.INCONCLUSIVE
    plan = ""
    if strategy.max_duration_s is not None and verdict is Verdict.INCONCLUSIVE:
        plan = f" {analyses} of {ANALYSES} analyses within {strategy.max_duration_s} s are made."
    return Guardrail(
        metric=metric,
        verdict=verdict,
        log_e=reading.log_e,
        limit=limit,
        stable_n=reading.stable_n,
        candidate_n=reading.candidate_n,
        stable_value=reading.stable_value,
        candidate_value=reading.candidate_value,
        upper_harm=reading.upper_harm,
        margin=margin,
        sentence=sentence(metric, verdict, reading, margin, strategy.min_samples) + plan,
    )

"""Weigh every model of the catalog for a scope, and choose one, or say why none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from scipy.special import ndtr

from processors.actuate.version import versioned
from processors.decide.budget import overspent
from processors.decide.condition import applies
from processors.decide.constrain import SOFT, milliseconds, money, percent, violations
from processors.decide.mix import Mix
from processors.decide.policy import DecidePolicy
from processors.decide.predict import Prediction, predict
from processors.decide.state import ScopeState
from processors.decide.wording import foretold
from schemas.catalog import Constraints, Model, Strategy
from schemas.config import LlmConfig
from schemas.decision import Candidate, Violation

Aim = Literal["cheaper_model", "faster_model", "failover"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What came of weighing."""

    current: LlmConfig | None
    candidates: tuple[Candidate, ...] = ()  # cheapest first, preferences counted
    chosen: Candidate | None = None
    confidence: float = 0.0
    impact: float | None = None  # of the chosen one: change of the cost, USD a day
    violations: tuple[Violation, ...] = ()  # of the best candidate, that holds all back
    predictions: tuple[str, ...] = ()  # ids of the insights that candidates were weighed by
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Weighed:
    """A candidate with what its choice depends on."""

    candidate: Candidate
    score: float  # cost with preferences counted, USD per request
    confidence: float
    name: str
    insights: Mapping[str, str]  # what was predicted: the insight that says so


def current_of(mix: Mix) -> LlmConfig | None:
    """The config that serves the scope, as far as its events tell."""
    if not mix.name:
        return None
    config = versioned(LlmConfig(version="", provider=mix.provider, model=mix.model))
    return replace(config, version=mix.version) if mix.version else config


def choose(
    policy: DecidePolicy, state: ScopeState, mix: Mix, aim: Aim, strategy: Strategy, *, at: int
) -> Choice:
    """The cheapest model within all constraints that serves the aim.

    A cheaper model saves at least the strategy's `min_improvement` of today's cost per request; a
    faster one takes as much off the p95 latency; a fail-over goes to another provider at any
    saving. The choice needs the strategy's `min_confidence`; whether it also needs a person's
    approval is for who carries it out.

    Args:
        policy: The catalog in force.
        state: The scope.
        mix: Its last hour.
        aim: What is wanted.
        strategy: How the change would be rolled out.
        at: ms of event time.
    """
    current = current_of(mix)
    if current is None:
        return Choice(current=None, reasons=("No model is known to serve this scope.",))
    limits = policy.catalog.constraints_for(state.scope)
    weighed = [
        _weigh(policy, state, mix, model, (aim, strategy, limits, at))
        for name, model in sorted(policy.catalog.models.items())
        if name != mix.name
        and model.enabled
        and applies(model.scopes, state.scope)
        and (aim != "failover" or model.provider != mix.provider)
    ]
    weighed.sort(key=lambda w: (not w.candidate.feasible, w.score, w.name))
    choice = Choice(
        current=current,
        candidates=tuple(w.candidate for w in weighed),
        predictions=tuple(sorted({id_ for w in weighed for id_ in w.insights.values()})),
    )
    best = next((w for w in weighed if w.candidate.feasible), None)
    if best is None:
        where = "of another provider " if aim == "failover" else ""
        lead = (
            f"None of {len(weighed)} models {where}is within all constraints."
            if weighed
            else f"The catalog has no other model {where}for this scope."
        )
        return replace(choice, reasons=(lead, *_nearest(weighed)))
    return _conclude(choice, best, mix, strategy)


def _conclude(choice: Choice, best: Weighed, mix: Mix, strategy: Strategy) -> Choice:
    """The best feasible candidate, unless confidence is lacking."""
    cost = best.candidate.predicted["cost_per_request_usd"]
    today = mix.cost_per_request_usd
    # without a cost of today, which only a fail-over does without, all of the new one is impact
    impact = 24 * mix.requests_per_hour * (cost - (today or 0.0))
    if best.confidence < strategy.min_confidence:
        doubt = Violation(
            constraint="min_confidence",
            limit=strategy.min_confidence,
            value=best.confidence,
            explanation=f"{best.name} keeps every bound with a confidence of only "
            f"{best.confidence:.2f}.",
            suggestion=f"Use a strategy that asks for less than {strategy.min_confidence:g}, or "
            "gather evidence by a small rollout by hand.",
        )
        lead = f"{best.name} would be the choice, but it is held back."
        return replace(choice, violations=(doubt,), reasons=(lead, doubt.explanation))
    return replace(
        choice,
        chosen=best.candidate,
        confidence=best.confidence,
        impact=impact,
        reasons=_reasons(choice, best, mix, impact),
    )


def _reasons(choice: Choice, best: Weighed, mix: Mix, impact: float) -> tuple[str, ...]:
    feasible = sum(candidate.feasible for candidate in choice.candidates)
    predicted, bad = best.candidate.predicted, best.candidate.pessimistic
    today = mix.cost_per_request_usd
    was = "" if today is None else f" instead of {money(today)}"
    verb = "saves" if impact < 0 else "costs"
    rank = (
        f"{best.name} is the cheapest of {feasible} models within all constraints, "
        f"of {len(choice.candidates)} weighed."
    )
    cost = (
        f"A request is predicted to cost {money(predicted['cost_per_request_usd'])}{was}; at "
        f"{mix.requests_per_hour:,.0f} requests an hour that {verb} {money(abs(impact))} a day."
    )
    worst = (
        f"At worst its quality is {bad['quality']:.1f}, its p95 latency "
        f"{milliseconds(bad['p95_latency_ms'])}, its error rate {percent(bad['error_rate'])}."
    )
    return (rank, cost, worst, *foretold(best.insights))


def _nearest(weighed: list[Weighed]) -> tuple[str, ...]:
    """What is wrong with each of the three that break least."""
    hard = [(w, [v for v in w.candidate.violations if v.constraint not in SOFT]) for w in weighed]
    hard.sort(key=lambda pair: (len(pair[1]), pair[0].score, pair[0].name))
    return tuple(
        f"{w.name}: {' '.join((*(v.explanation for v in broken), *foretold(w.insights)))}"
        for w, broken in hard[:3]
    )


def _weigh(
    policy: DecidePolicy,
    state: ScopeState,
    mix: Mix,
    model: Model,
    asked: tuple[Aim, Strategy, Constraints, int],
) -> Weighed:
    aim, strategy, limits, at = asked
    name = f"{model.provider}/{model.model}"
    prediction = predict(policy, state, mix, model, at)
    broken = list(violations(limits, mix, model, policy.catalog.models.get(mix.name), prediction))
    if name in state.rolled_back:
        broken.insert(0, _taken_back(name))
    saving = _saving(mix.cost_per_request_usd, prediction.predicted.get("cost_per_request_usd"))
    broken.extend(_improvement(mix, prediction, aim, strategy, saving))
    if aim != "failover" and (saving is None or saving <= 0.0):
        broken.extend(overspent(limits, state))
    soft = sum(violation.constraint in SOFT for violation in broken)
    cost = prediction.predicted.get("cost_per_request_usd")
    candidate = Candidate(
        config=versioned(LlmConfig(version="", provider=model.provider, model=model.model)),
        predicted=prediction.predicted,
        pessimistic=prediction.pessimistic,
        feasible=soft == len(broken),
        improvement=0.0 if saving is None else saving,
        violations=tuple(broken),
    )
    score = float("inf") if cost is None else cost * (1 + policy.preference) ** soft
    sure = _confidence(limits, mix, prediction, aim)
    return Weighed(candidate, score, sure, name, prediction.insights)


def _saving(today: float | None, cost: float | None) -> float | None:
    """The share of today's cost that is saved; None without evidence of either."""
    if today is None or cost is None:
        return None
    return 1 - cost / today if today > 0 else 0.0


def _taken_back(name: str) -> Violation:
    return Violation(
        constraint="rolled_back",
        limit=0.0,
        value=1.0,
        explanation=f"{name} was taken back in this scope.",
        suggestion="It is weighed again once another model is stable here; or set it by command.",
    )


def _improvement(
    mix: Mix, prediction: Prediction, aim: Aim, strategy: Strategy, saving: float | None
) -> tuple[Violation, ...]:
    """The aim itself, as one more bound."""
    if aim == "failover":
        return ()
    what = "saving" if aim == "cheaper_model" else "gain in p95 latency"
    gain = saving
    if aim == "faster_model":
        gain = _saving(mix.p95_latency_ms, prediction.predicted.get("p95_latency_ms"))
    if gain is not None and gain >= strategy.min_improvement:
        return ()
    least = percent(strategy.min_improvement)
    return (
        Violation(
            constraint="min_improvement",
            limit=strategy.min_improvement,
            value=gain,
            explanation=f"There is no evidence of a {what}, and no evidence is not a pass."
            if gain is None
            else f"Its {what} is {percent(gain)}, less than the {least} of {strategy.name}.",
            suggestion="Make sure that cost and latency are reported, and that models have prices."
            if gain is None
            else "Use a strategy that asks for less, or keep the current model.",
        ),
    )


def _confidence(limits: Constraints, mix: Mix, prediction: Prediction, aim: Aim) -> float:
    """The probability that quality and latency keep their bounds and the aim is reached at all.

    Each margin is read as the distance of a normal's tenth percentile, and the three are taken as
    independent. 0 without evidence.
    """
    lower: Mapping[str, float] = {"quality": limits.min_quality}
    upper: dict[str, float | None] = {"p95_latency_ms": limits.max_p95_latency_ms}
    if aim == "cheaper_model":
        upper["cost_per_request_usd"] = mix.cost_per_request_usd
    elif aim == "faster_model" and mix.p95_latency_ms is not None:
        upper["p95_latency_ms"] = min(limits.max_p95_latency_ms, mix.p95_latency_ms)
    found = 1.0
    for name, limit in (*lower.items(), *upper.items()):
        if limit is None or name not in prediction.predicted:
            return 0.0
        slack = limit - prediction.predicted[name]
        slack = -slack if name in lower else slack
        sigma = prediction.sigma(name)
        found *= float(ndtr(slack / sigma)) if sigma > 0 else float(slack >= 0)
    return found

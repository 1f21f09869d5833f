"""A decision in sentences, for the person who asks why."""

from __future__ import annotations

from collections.abc import Iterator

from processors.decide.constrain import percent
from schemas.config import LlmConfig
from schemas.decision import Action, Candidate, Decision

DID = {
    Action.DEPLOY: "roll out",
    Action.ROLLBACK: "take the rollout back",
    Action.ALERT: "tell a person",
    Action.NONE: "change nothing",
}
UNITS = {
    "cost_per_request_usd": ("${:.3g} a request", "cost"),
    "quality": ("{:.1f} points", "quality"),
    "p95_latency_ms": ("{:,.0f} ms", "p95 latency"),
    "error_rate": ("{:.2%}", "error rate"),
    "availability": ("{:.2%}", "availability"),
}


def explain(decision: Decision) -> str:
    """What was decided, what it saw, what was weighed and why: one sentence a line.

    Args:
        decision: Any decision, of whatever age; nothing else is looked up.

    Returns:
        Lines without a trailing newline; candidates in the order of the decision.
    """
    return "\n".join(_lines(decision))


def _lines(decision: Decision) -> Iterator[str]:
    what = DID[decision.action]
    if decision.chosen is not None:
        what += f" {_name(decision.chosen)} by the strategy {decision.strategy}"
    yield f"The decision for {decision.scope} is to {what}."
    if decision.current is not None:
        yield f"{_name(decision.current)} serves it now."
    yield from decision.reasons
    if decision.action is Action.DEPLOY:
        yield (
            f"The confidence that it keeps quality and latency within their bounds and pays "
            f"is {decision.confidence:.2f}."
        )
    for violation in decision.violations:
        yield f"Held back by {violation.constraint}: {violation.explanation} {violation.suggestion}"
    seen = ", ".join(f"{name} {value:.6g}" for name, value in sorted(decision.observed.items()))
    if seen:
        yield f"It saw {seen}."
    for candidate in decision.candidates:
        yield from _candidate(candidate)
    yield (
        f"It rests on {len(decision.inputs)} records and catalog {decision.policy or 'unknown'}, "
        f"and would be made again with probability {decision.propensity:g}."
    )


def _candidate(candidate: Candidate) -> Iterator[str]:
    values = ", ".join(
        f"{words} {shape.format(candidate.predicted[name])}"
        f" (at worst {shape.format(candidate.pessimistic[name])})"
        for name, (shape, words) in UNITS.items()
        if name in candidate.predicted
    )
    verdict = "is possible" if candidate.feasible else "is not possible"
    expected = f": {values}" if values else ""
    yield (
        f"- {_name(candidate.config)} {verdict}, saving {percent(candidate.improvement)}{expected}."
    )
    for violation in candidate.violations:
        yield f"  {violation.constraint}: {violation.explanation} {violation.suggestion}"


def _name(config: LlmConfig) -> str:
    return f"{config.provider}/{config.model}"

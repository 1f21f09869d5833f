"""The constraints, in the order in which they are checked, and what breaks them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from processors.decide.mix import Mix
from processors.decide.policy import DecidePolicy
from processors.decide.predict import Prediction
from processors.decide.state import ScopeState
from schemas.catalog import Constraints, Model
from schemas.decision import Violation

DAY_MS = 86_400_000
MINUTE_MS = 60_000
SOFT = ("preferred_providers", "preferred_models")


def money(value: float) -> str:
    """USD for people.

    >>> money(0.001234), money(1234.5)
    ('$0.00123', '$1,234.50')
    """
    return f"${value:,.2f}" if value >= 1 else f"${value:.3g}"


def percent(value: float) -> str:
    """A share for people.

    >>> percent(0.0512)
    '5.12%'
    """
    return f"{100 * value:.3g}%"


def milliseconds(value: float) -> str:
    """A latency for people."""
    return f"{value:,.0f} ms"


def points(value: float) -> str:
    """A quality for people."""
    return f"{value:.1f} points"


class Bound(NamedTuple):
    """A limit on one pessimistic value."""

    constraint: str
    what: str  # it limits, for people
    limit: float
    value: float | None
    show: Callable[[float], str]
    above: bool = True  # the limit is the most that may be; else the least

    def broken(self, expect: str, mend: str) -> Iterator[Violation]:
        """The violation, if there is one; a value without evidence is one."""
        if self.value is None:
            explanation = f"There is no evidence of its {self.what}, and no evidence is not a pass."
            yield self._violation(explanation, expect)
        elif (self.value > self.limit) if self.above else (self.value < self.limit):
            side, value, limit = (
                "above" if self.above else "below",
                self.show(self.value),
                self.show(self.limit),
            )
            explanation = f"Its {self.what} could be {value}, {side} the limit of {limit}."
            yield self._violation(explanation, mend)

    def _violation(self, explanation: str, suggestion: str) -> Violation:
        return Violation(
            constraint=self.constraint,
            limit=self.limit,
            value=self.value,
            explanation=explanation,
            suggestion=suggestion,
        )


def violations(
    limits: Constraints, mix: Mix, model: Model, current: Model | None, prediction: Prediction
) -> Iterator[Violation]:
    """What the model would break in the scope: safety, compatibility, budget, preferences.

    Every bound is checked against the pessimistic prediction, and one without evidence is broken.
    Compatibility is checked where the catalog states it: the capabilities of the current model,
    and a context window as long as the longest request of the hour.
    """
    bad, name = prediction.pessimistic, f"{model.provider}/{model.model}"
    error_rate, latency = bad.get("error_rate"), bad.get("p95_latency_ms")
    quality, availability = bad.get("quality"), bad.get("availability")
    top, slowest = limits.max_error_rate, limits.max_p95_latency_ms
    least, answered = limits.min_quality, limits.min_availability
    for bound in (
        Bound("max_error_rate", "error rate", top, error_rate, percent),
        Bound("max_p95_latency_ms", "p95 latency", slowest, latency, milliseconds),
        Bound("min_quality", "quality", least, quality, points, above=False),
        Bound("min_availability", "availability", answered, availability, percent, above=False),
    ):
        yield from bound.broken(
            f"Declare what you expect of {name} in the catalog, or give it traffic by hand first.",
            f"Choose a better model, or relax {bound.constraint} for this scope.",
        )
    yield from _compatibility(mix, model, current)
    cost = bad.get("cost_per_request_usd")
    hourly = None if cost is None else cost * mix.requests_per_hour
    daily = None if hourly is None else 24 * hourly
    for bound in (
        Bound("daily_budget_usd", "cost a day", limits.daily_budget_usd, daily, money),
        Bound("hourly_budget_usd", "cost an hour", limits.hourly_budget_usd, hourly, money),
        Bound(
            "max_cost_per_request_usd",
            "cost per request",
            limits.max_cost_per_request_usd,
            cost,
            money,
        ),
    ):
        yield from bound.broken(
            f"Add a price for {name} to the catalog.",
            f"Raise {bound.constraint} for this scope, or choose a cheaper model.",
        )
    yield from _preferences(limits, model)


def _compatibility(mix: Mix, model: Model, current: Model | None) -> Iterator[Violation]:
    needed = set() if current is None else set(current.capabilities)
    lacking = sorted(needed - set(model.capabilities))
    if lacking:
        yield Violation(
            constraint="capabilities",
            limit=float(len(needed)),
            value=float(len(needed) - len(lacking)),
            explanation=f"It lacks {', '.join(lacking)}, which the current model has.",
            suggestion="Take what the scope does not use off the current model's capabilities.",
        )
    if model.context_window is not None and mix.longest > model.context_window:
        yield Violation(
            constraint="context_window",
            limit=float(model.context_window),
            value=mix.longest,
            explanation=(
                f"The longest request of the hour had {mix.longest:,.0f} tokens, "
                f"its context window has {model.context_window:,}."
            ),
            suggestion="Choose a model with a longer context window.",
        )


def _preferences(limits: Constraints, model: Model) -> Iterator[Violation]:
    """Scored, not vetoed."""
    name = f"{model.provider}/{model.model}"
    for constraint, wanted, mine in (
        ("preferred_providers", limits.preferred_providers, {model.provider}),
        ("preferred_models", limits.preferred_models, {model.model, name}),
    ):
        if wanted and mine.isdisjoint(wanted):
            yield Violation(
                constraint=constraint,
                limit=1.0,
                value=0.0,
                explanation=f"It is none of those preferred: {', '.join(wanted)}.",
                suggestion="None is needed: a preference counts in the choice and vetoes nothing.",
            )


def operational(
    policy: DecidePolicy, state: ScopeState, limits: Constraints, at: int
) -> tuple[Violation, ...]:
    """What holds any change of the scope back now, by event time."""
    found: list[Violation] = []
    today = sum(at - change.at < DAY_MS for change in state.changes)
    if today >= limits.max_changes_per_day:
        found.append(
            Violation(
                constraint="max_changes_per_day",
                limit=float(limits.max_changes_per_day),
                value=float(today),
                explanation=f"{today} changes were made here within 24 hours.",
                suggestion="Wait, or raise max_changes_per_day for this scope.",
            )
        )
    last = max((*(change.at for change in state.changes), state.changed_at or -1), default=-1)
    minutes = (at - last) / MINUTE_MS
    if last >= 0 and minutes < limits.min_minutes_between_changes:
        found.append(
            Violation(
                constraint="min_minutes_between_changes",
                limit=limits.min_minutes_between_changes,
                value=minutes,
                explanation=f"The last change was {minutes:g} minutes ago.",
                suggestion="Wait, or lower min_minutes_between_changes for this scope.",
            )
        )
    if len(state.minutes) < policy.min_minutes:
        found.append(
            Violation(
                constraint="min_minutes",
                limit=float(policy.min_minutes),
                value=float(len(state.minutes)),
                explanation=f"Only {len(state.minutes)} minutes of the stable model are known.",
                suggestion="Wait until there is more evidence.",
            )
        )
    return tuple(found)

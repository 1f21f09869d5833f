"""What a model would do in a scope: by its record there, by analysis, else by its owner's word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from math import isfinite, sqrt

from processors.decide.insights import fresh, worse_end
from processors.decide.mix import Mix
from processors.decide.policy import DecidePolicy
from processors.decide.state import Record, ScopeState, Seen
from processors.enrich.price import cost_of, day_of, price_of
from schemas.catalog import Model
from schemas.insight import InsightKind
from schemas.window import Price

Z90 = 1.2815515594600038  # Φ⁻¹(0.9): a bound that holds in nine of ten cases
FORETOLD = ("cost_per_request_usd", "error_rate", "p95_latency_ms", "quality")
"""What analysis may predict of a model, and a choice rests on."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Values by name; a name without evidence is absent."""

    predicted: Mapping[str, float]
    pessimistic: Mapping[str, float]  # holds in nine of ten cases
    price: Price | None
    requests: float  # of the model's own record in the scope, faded with age
    insights: Mapping[str, str] = field(default_factory=dict)  # name: the insight that says so

    def sigma(self, name: str) -> float:
        """The standard deviation that the distance of the two values stands for."""
        return abs(self.pessimistic[name] - self.predicted[name]) / Z90


def predict(policy: DecidePolicy, state: ScopeState, mix: Mix, model: Model, at: int) -> Prediction:
    """Cost, quality, latency, error rate and availability of *model* on the scope's own mix.

    The record replaces an expectation from `enough_requests` (`enough_scores`) on; the margin
    then shrinks with the root of the number beyond that. Rates of the record are bounded by
    Wilson's score interval (JASA 22, 1927). Availability is the share of requests that were
    answered in time; a model without a record has the expected share of successes instead, which
    is no higher.

    Where there is no such record, a fresh prediction of analysis comes before the expectation, and
    before the price times the scope's tokens, for it knows how much the model writes. It is read
    by the worse end of its range; where that is a tighter bound than nine of ten, what is made of
    it errs to the safe side.

    Args:
        policy: The catalog and how much evidence is enough.
        state: Holds the record of the model, and what is predicted of it.
        mix: Tokens per request.
        model: As the catalog declares it.
        at: ms; prices are of its day.
    """
    predicted: dict[str, float] = {}
    pessimistic: dict[str, float] = {}
    price = price_of(
        policy.catalog,
        policy.prices,
        model.provider,
        model.model,
        day=day_of(at),
        context=mix.tokens_input,
    )
    if price is not None:
        cost = cost_of(price, mix.tokens_input, mix.tokens_output, mix.cached_tokens)
        predicted["cost_per_request_usd"] = cost
        pessimistic["cost_per_request_usd"] = cost * (1 + policy.cost_margin)
    name = f"{model.provider}/{model.model}"
    record = record_of(state, name)
    _quality(policy, model, record, predicted, pessimistic)
    tried = record.requests >= policy.enough_requests
    shrunk = sqrt(policy.enough_requests / record.requests) if tried else 1.0
    latency = record.latency / record.requests if tried and record.latency else model.p95_latency_ms
    if latency is not None:
        predicted["p95_latency_ms"] = latency
        pessimistic["p95_latency_ms"] = latency * (1 + model.latency_margin * shrunk)
    if tried:
        predicted["error_rate"] = record.errors / record.requests
        pessimistic["error_rate"] = wilson(record.errors, record.requests)
        predicted["availability"] = 1 - record.timeouts / record.requests
        pessimistic["availability"] = 1 - wilson(record.timeouts, record.requests)
    elif model.error_rate is not None:
        predicted["error_rate"] = pessimistic["error_rate"] = model.error_rate
        predicted["availability"] = pessimistic["availability"] = 1 - model.error_rate
    measured = {"error_rate"} if tried else set()
    measured |= {"p95_latency_ms"} if tried and record.latency else set()
    measured |= {"quality"} if record.scores >= policy.enough_scores else set()
    told = {
        metric: found
        for metric, found in _foretold(policy, state, name).items()
        if metric not in measured
    }
    for metric, (_, value, worst) in told.items():
        predicted[metric], pessimistic[metric] = value, worst
    if "error_rate" in told:
        predicted["availability"] = 1 - predicted["error_rate"]
        pessimistic["availability"] = 1 - pessimistic["error_rate"]
    insights = {metric: id_ for metric, (id_, _, _) in told.items()}
    return Prediction(predicted, pessimistic, price, record.requests, insights)


def _foretold(
    policy: DecidePolicy, state: ScopeState, name: str
) -> dict[str, tuple[str, float, float]]:
    """What the newest insights predict of a model: by metric their id, the value, its worse end."""
    found: dict[str, tuple[str, float, float]] = {}
    for id_, each in sorted(state.findings.items(), key=lambda pair: (pair[1].end, pair[0])):
        worst = worse_end(each)
        if (
            (each.kind, each.subject) == (InsightKind.PREDICTION, name)
            and each.metric in FORETOLD
            and each.holds
            and fresh(policy, state.newest, each)
            and worst is not None
            and isfinite(each.value + worst)
        ):
            found[each.metric] = (id_, each.value, worst)
    return found


def _quality(
    policy: DecidePolicy,
    model: Model,
    record: Record,
    predicted: dict[str, float],
    pessimistic: dict[str, float],
) -> None:
    scored = record.scores >= policy.enough_scores
    quality = record.quality / record.scores if scored else model.quality
    if quality is not None:
        shrunk = sqrt(policy.enough_scores / record.scores) if scored else 1.0
        predicted["quality"] = quality
        pessimistic["quality"] = quality - model.quality_margin * shrunk


def record_of(state: ScopeState, name: str) -> Record:
    """All that is known of a model in the scope, its open hours included."""
    seen = state.seen.get(name, Seen())
    return reduce(Record.plus, (r for _, r in sorted(seen.open.items())), seen.past)


def wilson(events: float, trials: float) -> float:
    """Upper bound, in nine of ten cases, of the rate behind *events* of *trials* > 0.

    >>> round(wilson(0, 500), 5)
    0.00327
    """
    rate, z2 = events / trials, Z90**2
    centre = rate + z2 / (2 * trials)
    spread = Z90 * sqrt(rate * (1 - rate) / trials + z2 / (4 * trials**2))
    return (centre + spread) / (1 + z2 / trials)

"""Give each window its cost, its price, its objective and the card of the model that answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from processors.enrich.price import PRICE_DATA, cost_of, day_of, price_of
from schemas.catalog import Catalog
from schemas.flow import Emit, Input, Moment, Outcome
from schemas.topics import ENRICHED
from schemas.window import EnrichedWindow, ModelCard, Price, Target, Unpriced, WindowAggregate


@dataclass(frozen=True, slots=True)
class EnrichPolicy:
    """Where the facts come from.

    `prices` names the price data, so that it is part of the policy's checksum; "" uses the prices
    of the catalog alone.

    Raises:
        ValueError: `prices` is another version than is installed.
    """

    catalog: Catalog
    prices: str = PRICE_DATA

    def __post_init__(self) -> None:
        """Refuse price data that is not there."""
        if self.prices not in ("", PRICE_DATA):
            raise ValueError(f"prices is {self.prices!r}, installed is {PRICE_DATA!r}; install it")


def step(
    policy: EnrichPolicy, state: None, inputs: Sequence[Input], moment: Moment
) -> Outcome[None]:
    """Enrich every window of a batch; the stage keeps no state.

    Args:
        policy: The catalog and the price data in force.
        state: None.
        inputs: `WindowAggregate` records.
        moment: Only its partition is used.

    Returns:
        One `EnrichedWindow` per window on the same partition; counts `enriched` and
        `missing.<name>` per enrichment whose source knew nothing.
    """
    counts: Counter[str] = Counter()
    emits: list[Emit] = []
    for record in inputs:
        if not isinstance(record.value, WindowAggregate):
            continue
        enriched = enrich(policy, record.value)
        counts["enriched"] += 1
        counts.update(f"missing.{name}" for name in enriched.missing)
        emits.append(Emit(ENRICHED.name, record.value.scope, enriched, partition=moment.partition))
    return Outcome(state, emits=tuple(emits), counts=dict(sorted(counts.items())))


def enrich(policy: EnrichPolicy, window: WindowAggregate) -> EnrichedWindow:
    """One window with all that is known of it.

    A pooled row has the cost and the objective of its scope, but neither one price nor one model.
    """
    price, card = (None, None) if window.pooled else (_price(policy, window), _card(policy, window))
    target = _target(policy, window)
    cost = _cost(policy, window)
    absent = {
        "price": price is None and not window.pooled,
        "cost": cost is None,
        "target": target is None,
        "model_card": card is None and not window.pooled,
    }
    return EnrichedWindow(
        window=window,
        cost_usd=cost,
        cost_per_request_usd=None
        if cost is None or not window.requests
        else cost / window.requests,
        price=price,
        target=target,
        model_card=card,
        missing=tuple(name for name, nothing in absent.items() if nothing),
    )


def _cost(policy: EnrichPolicy, window: WindowAggregate) -> float | None:
    """Reported plus priced; None while any request is neither."""
    reported = window.metrics.get("cost_usd")
    parts = [0.0 if reported is None else reported.sum]
    known = 0 if reported is None else reported.count
    day = day_of(window.start)
    for usage in window.unpriced:
        price = _usage_price(policy, usage, day)
        if price is None:
            return None
        known += usage.requests
        parts.append(cost_of(price, usage.tokens_input, usage.tokens_output, usage.cached_tokens))
    return fsum(parts) if known >= window.requests else None


def _usage_price(policy: EnrichPolicy, usage: Unpriced, day: str) -> Price | None:
    context = usage.tokens_input / usage.requests if usage.requests else 0.0
    return price_of(
        policy.catalog, policy.prices, usage.provider, usage.model, day=day, context=context
    )


def _price(policy: EnrichPolicy, window: WindowAggregate) -> Price | None:
    tokens = window.metrics.get("tokens_input")
    return price_of(
        policy.catalog,
        policy.prices,
        window.provider,
        window.model,
        day=day_of(window.start),
        context=0.0 if tokens is None else tokens.mean,
    )


def _target(policy: EnrichPolicy, window: WindowAggregate) -> Target | None:
    sla = policy.catalog.sla_for(window.scope)
    if sla is None:
        return None
    return Target(
        p95_latency_ms=sla.p95_latency_ms,
        error_rate=sla.error_rate,
        availability=sla.availability,
    )


def _card(policy: EnrichPolicy, window: WindowAggregate) -> ModelCard | None:
    model = policy.catalog.models.get(f"{window.provider}/{window.model}")
    if model is None:
        return None
    return ModelCard(
        provider=model.provider,
        model=model.model,
        capabilities=model.capabilities,
        context_window=model.context_window,
        release_date=model.release_date,
    )

from __future__ import annotations

from dataclasses import replace

import pytest

from processors.enrich import EnrichPolicy, enrich, step
from schemas.catalog import Catalog, Model, PriceEntry, Sla
from schemas.flow import Input, Moment
from schemas.topics import AGGREGATES, ENRICHED
from schemas.window import EnrichedWindow, MetricSummary, ModelCard, Target, Unpriced
from schemas.window import WindowAggregate as Window

MOMENT = Moment(now=0, seed=0, epoch=1, partition=3, partitions=4)
START = 1_767_225_600_000  # 2026-01-01
HOUSE = PriceEntry(
    provider="house", model="fast", input_per_mtok=1.0, output_per_mtok=2.0, cached_per_mtok=0.1
)
CATALOG = Catalog(
    models={
        "house/fast": Model(
            provider="house",
            model="fast",
            capabilities=("json",),
            context_window=8000,
            release_date="2025-05-05",
        )
    },
    prices={"house/fast": (HOUSE,)},
    slas={"search": Sla(scope="search", p95_latency_ms=900.0, error_rate=0.01)},
)
POLICY = EnrichPolicy(CATALOG)


def summary(count: int, total: float) -> MetricSummary:
    mean = total / count
    return MetricSummary(
        count=count,
        sum=total,
        mean=mean,
        min=mean,
        max=mean,
        stddev=0.0,
        p50=mean,
        p90=mean,
        p95=mean,
        p99=mean,
    )


ROW = Window(
    service="search",
    endpoint="answer",
    model="fast",
    provider="house",
    config_version="",
    cohort="",
    window="1m",
    start=START,
    end=START + 60_000,
    revision=1,
    closed=True,
    watermark=START + 60_000,
    requests=10,
    success=10,
    errors=0,
    timeouts=0,
    retries=0,
)
POOLED = replace(ROW, model="*", provider="*", config_version="*", cohort="*")


def usage(model: str, requests: int) -> Unpriced:
    return Unpriced(
        model=model,
        provider="house",
        requests=requests,
        tokens_input=1_000_000,
        tokens_output=500_000,
        cached_tokens=400_000,
    )


def test_reported_and_priced_costs_are_added() -> None:
    row = replace(ROW, metrics={"cost_usd": summary(4, 0.5)}, unpriced=(usage("fast", 6),))
    enriched = enrich(POLICY, row)

    assert 0.5 + (0.6 * 1.0 + 0.4 * 0.1 + 0.5 * 2.0) == pytest.approx(enriched.cost_usd)
    assert enriched.cost_usd is not None
    assert enriched.cost_usd / 10 == enriched.cost_per_request_usd
    assert () == enriched.missing


def test_the_cost_of_an_unknown_model_is_unknown_and_not_zero() -> None:
    row = replace(ROW, model="new", unpriced=(usage("new", 10),))
    enriched = enrich(POLICY, row)

    assert (None, None, None, None) == (
        enriched.cost_usd,
        enriched.cost_per_request_usd,
        enriched.price,
        enriched.model_card,
    )
    assert ("price", "cost", "model_card") == enriched.missing


def test_one_unknown_model_makes_the_cost_of_the_whole_scope_unknown() -> None:
    row = replace(POOLED, unpriced=(usage("fast", 5), usage("new", 5)))
    enriched = enrich(POLICY, row)

    assert enriched.cost_usd is None
    assert ("cost",) == enriched.missing


def test_requests_that_are_neither_reported_nor_listed_leave_the_cost_unknown() -> None:
    assert enrich(POLICY, replace(ROW, metrics={"cost_usd": summary(9, 0.5)})).cost_usd is None


def test_no_request_costs_nothing_and_nothing_per_request() -> None:
    enriched = enrich(POLICY, replace(ROW, requests=0, success=0))

    assert 0.0 == enriched.cost_usd
    assert enriched.cost_per_request_usd is None


def test_a_key_row_has_price_objective_and_card() -> None:
    enriched = enrich(POLICY, replace(ROW, metrics={"cost_usd": summary(10, 1.0)}))

    assert enriched.price is not None
    assert "catalog" == enriched.price.source
    assert Target(p95_latency_ms=900.0, error_rate=0.01) == enriched.target
    assert (
        ModelCard(
            provider="house",
            model="fast",
            capabilities=("json",),
            context_window=8000,
            release_date="2025-05-05",
        )
        == enriched.model_card
    )


def test_a_pooled_row_has_neither_one_price_nor_one_model() -> None:
    enriched = enrich(POLICY, replace(POOLED, metrics={"cost_usd": summary(10, 1.0)}))

    assert (None, None, ()) == (enriched.price, enriched.model_card, enriched.missing)


def test_the_tier_of_a_price_follows_the_mean_request() -> None:
    long = replace(
        ROW,
        provider="google",
        model="gemini-2.5-pro",
        metrics={"tokens_input": summary(10, 3_000_000.0), "cost_usd": summary(10, 1.0)},
    )
    price = enrich(POLICY, long).price

    assert price is not None
    assert 2.5 == price.input_per_mtok


def test_a_step_emits_one_record_per_window_to_its_own_partition() -> None:
    priced = replace(ROW, metrics={"cost_usd": summary(10, 1.0)})
    inputs = [
        Input(AGGREGATES.name, 0, priced),
        Input(AGGREGATES.name, 1, None),
        Input(AGGREGATES.name, 2, replace(priced, service="other", model="new")),
    ]
    outcome = step(POLICY, None, inputs, MOMENT)

    assert [(ENRICHED.name, "search/answer", 3), (ENRICHED.name, "other/answer", 3)] == [
        (emit.topic, emit.key, emit.partition) for emit in outcome.emits
    ]
    assert all(isinstance(emit.value, EnrichedWindow) for emit in outcome.emits)
    assert {
        "enriched": 2,
        "missing.model_card": 1,
        "missing.price": 1,
        "missing.target": 1,
    } == outcome.counts


def test_no_input_gives_nothing() -> None:
    outcome = step(POLICY, None, [], MOMENT)

    assert ((), {}, {}) == (outcome.emits, outcome.changes, outcome.counts)


def test_price_data_that_is_not_installed_is_refused() -> None:
    with pytest.raises(ValueError, match="installed is"):
        EnrichPolicy(CATALOG, prices="genai-prices 0.0.0")

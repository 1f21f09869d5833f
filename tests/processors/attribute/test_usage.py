from dataclasses import replace
from fractions import Fraction

import pytest

from processors.attribute.attribute import attribute
from processors.attribute.usage import BESIDE, CACHED, INPUT, NANO, OUTPUT, Amount, Usage, used
from schemas.window import EnrichedWindow, MetricSummary, Price, WindowAggregate

PRICE = Price(input_per_mtok=0.15, output_per_mtok=0.6, cached_per_mtok=0.0375, source="catalog")


def summary(total: float) -> MetricSummary:
    return MetricSummary(
        count=10, sum=total, mean=0, min=0, max=0, stddev=0, p50=0, p90=0, p95=0, p99=0
    )


def row(
    cost: float | None = 0.01, price: Price | None = PRICE, *, model: str = "m", requests: int = 10
) -> EnrichedWindow:
    """A minute with 10,000 tokens in, 4,000 of them cached, and 2,000 out."""
    window = WindowAggregate(
        service="shop",
        endpoint="answer",
        model=model,
        provider="p",
        config_version="",
        cohort="*" if model == "*" else "",
        window="1m",
        start=0,
        end=60_000,
        revision=1,
        closed=True,
        watermark=60_000,
        requests=requests,
        success=requests,
        errors=0,
        timeouts=0,
        retries=0,
        metrics={
            "tokens_input": summary(10_000),
            "tokens_output": summary(2_000),
            "cached_tokens": summary(4_000),
        },
    )
    return EnrichedWindow(window=window, cost_usd=cost, cost_per_request_usd=None, price=price)


def test_a_cost_is_split_into_kinds_by_its_price() -> None:
    (found,) = used([row(0.0025)])

    assert ("shop/answer", "p/m", 10) == (found.scope, found.model, found.requests)
    assert {
        INPUT: Amount(6_000, 900_000),
        CACHED: Amount(4_000, 150_000),
        OUTPUT: Amount(2_000, 1_200_000),
        BESIDE: Amount(10, 250_000),
    } == found.kinds


def test_what_follows_the_price_leaves_nothing_beside() -> None:
    assert BESIDE not in used([row(0.00225)])[0].kinds


@pytest.mark.parametrize("cached", [None, 0.15])
def test_cached_tokens_without_a_price_cost_what_input_costs(cached: float | None) -> None:
    (found,) = used([row(price=replace(PRICE, cached_per_mtok=cached))])

    assert Amount(4_000, 600_000) == found.kinds[CACHED]


def test_without_a_price_all_is_paid_by_the_request() -> None:
    assert {BESIDE: Amount(10, 10_000_000)} == used([row(price=None)])[0].kinds


def test_no_more_tokens_are_cached_than_came_in() -> None:
    odd = row(0.0021)
    metrics = {**odd.window.metrics, "cached_tokens": summary(15_000)}
    (found,) = used([replace(odd, window=replace(odd.window, metrics=metrics))])

    assert Amount(10_000, 375_000) == found.kinds[CACHED]
    assert INPUT not in found.kinds


def test_tokens_that_nobody_counted_are_none() -> None:
    bare = row()
    bare = replace(bare, window=replace(bare.window, metrics={}))

    assert {BESIDE: Amount(10, 10_000_000)} == used([bare])[0].kinds


def test_windows_add_up_and_pooled_or_unpriced_ones_are_left_out() -> None:
    rows = [row(0.01), row(0.02), row(0.5, model="*"), row(None), row(0.7, requests=0)]
    found = used([*rows, row(0.03, model="n")])

    assert [("p/m", 20), ("p/n", 10)] == [(each.model, each.requests) for each in found]
    assert [30_000_000, 30_000_000] == [
        sum(amount.nano for amount in each.kinds.values()) for each in found
    ]


def test_what_is_attributed_is_the_change_of_what_windows_cost() -> None:
    costs = (0.0123456789, 0.1 + 0.2)
    found = attribute(*(used([row(cost)]) for cost in costs))
    before, after = (round(Fraction(cost) * NANO) for cost in costs)

    assert after - before == found.change == sum(part.nano for part in found.parts)


@pytest.mark.parametrize(
    ("requests", "amount", "words"),
    [
        (-1, Amount(0, 0), "negative"),
        (1, Amount(-5, 0), "negative"),
        (1, Amount(0, 7), "of which there was none"),
        (0, Amount(7, 7), "without a request"),
    ],
)
def test_usage_that_cannot_be_is_refused(requests: int, amount: Amount, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Usage("a", "x", requests, {"input": amount})

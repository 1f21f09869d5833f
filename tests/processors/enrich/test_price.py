from __future__ import annotations

import socket

import pytest

from processors.enrich.price import (
    PRICE_DATA,
    Rate,
    cost_of,
    day_of,
    list_price,
    price_of,
    unit_price,
)
from schemas.catalog import Catalog, PriceEntry
from schemas.window import Price

DAY = "2026-01-01"


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("openai", "gpt-4o-mini", (0.15, 0.6, 0.075)),
        ("openai", "gpt-4o-mini-2024-07-18", (0.15, 0.6, 0.075)),
        ("anthropic", "claude-haiku-4-5", (1.0, 5.0, 0.1)),
        ("google", "gemini-2.5-flash", (0.3, 2.5, 0.03)),
        ("openai", "gpt-4-turbo", (10.0, 30.0, None)),
    ],
)
def test_a_known_model_has_its_list_price(
    provider: str, model: str, expected: tuple[float, float, float | None]
) -> None:
    assert Price(
        input_per_mtok=expected[0],
        output_per_mtok=expected[1],
        cached_per_mtok=expected[2],
        source=PRICE_DATA,
    ) == unit_price(provider, model, DAY)


@pytest.mark.parametrize(
    ("provider", "model"),
    [("openai", "gpt-never"), ("nobody", "gpt-4o"), ("", ""), ("github-copilot", "gpt-4o-mini")],
)
def test_what_has_no_price_is_not_free(provider: str, model: str) -> None:
    assert unit_price(provider, model, DAY) is None


def test_a_price_is_that_of_its_day() -> None:
    before, after = (unit_price("openai", "o3", day) for day in ("2025-06-01", "2025-07-01"))

    assert before is not None
    assert after is not None
    assert (10.0, 2.0) == (before.input_per_mtok, after.input_per_mtok)


def test_long_requests_cost_the_price_of_their_tier() -> None:
    short, long = (
        unit_price("google", "gemini-2.5-pro", DAY, context) for context in (200_000, 200_001)
    )

    assert short is not None
    assert long is not None
    assert (1.25, 2.5) == (short.input_per_mtok, long.input_per_mtok)
    assert (10.0, 15.0) == (short.output_per_mtok, long.output_per_mtok)
    assert (0.125, 0.25) == (short.cached_per_mtok, long.cached_per_mtok)


def test_the_highest_tier_that_is_passed_counts() -> None:
    rate = Rate(1.0, ((10, 2.0), (20, 3.0)))

    assert (1.0, 2.0, 3.0) == (rate.at(10), rate.at(20), rate.at(21))


def test_off_peak_discounts_are_not_taken_for_the_price() -> None:
    price = unit_price("deepseek", "deepseek-chat", "2025-03-01")

    assert price is not None
    assert 0.27 == price.input_per_mtok


def entry(day: str, price: float) -> PriceEntry:
    return PriceEntry(
        provider="openai",
        model="gpt-4o",
        input_per_mtok=price,
        output_per_mtok=2 * price,
        effective=day,
    )


OVERRIDES = Catalog(prices={"openai/gpt-4o": (entry("2026-01-01", 7.0), entry("2026-02-01", 9.0))})


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2025-12-31", (2.5, PRICE_DATA)),
        ("2026-01-01", (7.0, "catalog")),
        ("2026-01-31", (7.0, "catalog")),
        ("2026-02-01", (9.0, "catalog")),
    ],
)
def test_the_catalog_overrides_from_its_date_on(day: str, expected: tuple[float, str]) -> None:
    price = price_of(OVERRIDES, PRICE_DATA, "openai", "gpt-4o", day=day)

    assert price is not None
    assert expected == (price.input_per_mtok, price.source)


def test_without_price_data_only_the_catalog_has_prices() -> None:
    assert price_of(OVERRIDES, "", "openai", "gpt-4o", day="2025-12-31") is None


FLAT = Price(input_per_mtok=2.0, output_per_mtok=10.0, cached_per_mtok=0.5, source="catalog")


def test_cached_tokens_are_part_of_the_input_at_their_own_price() -> None:
    assert pytest.approx(0.4 * 2.0 + 0.6 * 0.5 + 0.1 * 10.0) == cost_of(
        FLAT, 400_000 + 600_000, 100_000, 600_000
    )


def test_cached_tokens_without_a_price_cost_what_input_costs() -> None:
    price = Price(input_per_mtok=2.0, output_per_mtok=10.0, cached_per_mtok=None, source="catalog")

    assert pytest.approx(2.0) == cost_of(price, 1_000_000, 0, 600_000)


def test_more_cached_tokens_than_input_never_make_a_cost_negative() -> None:
    assert pytest.approx(0.5) == cost_of(FLAT, 1_000_000, 0, 5_000_000)


def test_a_day_is_a_day_in_utc() -> None:
    assert ("2024-12-31", "2025-01-01") == (day_of(1_735_689_599_999), day_of(1_735_689_600_000))


def test_a_price_is_looked_up_without_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a price asked the network")

    monkeypatch.setattr(socket, "socket", refuse)
    list_price.cache_clear()

    assert unit_price("openai", "gpt-4o", DAY) is not None

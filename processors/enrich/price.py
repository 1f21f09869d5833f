"""What a million tokens of a model cost on a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import genai_prices
import numpy as np
from genai_prices.data import providers
from genai_prices.data_snapshot import find_provider_by_id
from genai_prices.types import TieredPrices

from schemas.catalog import Catalog, PriceEntry
from schemas.window import Price

PRICE_DATA = f"genai-prices {genai_prices.__version__}"
"""Name and version of the price data that is installed; it is never updated at run time."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One unit price, USD per million tokens, with what long requests pay."""

    base: float
    tiers: tuple[tuple[int, float], ...] = ()  # (input tokens that it is above, price), rising

    def at(self, context: float) -> float:
        """The price for a request with *context* input tokens; a tier holds for all of them."""
        price = self.base
        for start, above in self.tiers:
            if context > start:
                price = above
        return price


@dataclass(frozen=True, slots=True)
class Rates:
    """The unit prices of a model on a day."""

    input: Rate
    output: Rate
    cached: Rate | None


def day_of(ms: int) -> str:
    """The UTC date of an instant.

    >>> day_of(1_735_689_600_000)
    '2025-01-01'
    """
    return str(np.datetime64(ms, "ms").astype("datetime64[D]"))


def unit_price(provider: str, model: str, day: str, context: float = 0.0) -> Price | None:
    """The list price by the price data.

    Args:
        provider: As the events name it; known aliases are understood.
        model: As the events name it; dated and aliased names are understood.
        day: ISO date, UTC. Where a price depends on the hour, noon's is taken.
        context: Input tokens of a request (or their mean): some models cost more when long.

    Returns:
        USD per million tokens, or None for a model, or a model's tokens, without a price.
    """
    rates = list_price(provider, model, day)
    if rates is None:
        return None
    return Price(
        input_per_mtok=rates.input.at(context),
        output_per_mtok=rates.output.at(context),
        cached_per_mtok=None if rates.cached is None else rates.cached.at(context),
        source=PRICE_DATA,
    )


@lru_cache(maxsize=4096)
def list_price(provider: str, model: str, day: str) -> Rates | None:
    """The same before a context is known; kept, for a look-up costs 100 times as much as a hit."""
    seller = find_provider_by_id(providers, provider)
    offer = None if seller is None else seller.find_model(model, all_providers=providers)
    if offer is None:
        return None
    # without a zone the price data reads UTC
    prices = offer.get_prices(np.datetime64(f"{day}T12:00", "s").item())
    rates = (_rate(prices.input_mtok), _rate(prices.output_mtok), _rate(prices.cache_read_mtok))
    return None if rates[0] is None or rates[1] is None else Rates(rates[0], rates[1], rates[2])


def _rate(price: Decimal | TieredPrices | None) -> Rate | None:
    if price is None:
        return None
    if isinstance(price, TieredPrices):
        tiers = tuple((tier.start, float(tier.price)) for tier in price.tiers)
        return Rate(float(price.base), tiers)
    return Rate(float(price))


def price_of(
    catalog: Catalog, prices: str, provider: str, model: str, *, day: str, context: float = 0.0
) -> Price | None:
    """The price in force: the catalog's newest entry of that day or before, else the list price.

    Args:
        catalog: Its price entries win over the price data.
        prices: `PRICE_DATA`, or "" to use the catalog alone.
        provider: As the events name it.
        model: As the events name it.
        day: ISO date, UTC.
        context: Input tokens of a request.
    """
    entry = override(catalog.prices, f"{provider}/{model}", day)
    if entry is not None:
        return Price(
            input_per_mtok=entry.input_per_mtok,
            output_per_mtok=entry.output_per_mtok,
            cached_per_mtok=entry.cached_per_mtok,
            source="catalog",
        )
    return unit_price(provider, model, day, context) if prices else None


def override(
    entries: Mapping[str, tuple[PriceEntry, ...]], name: str, day: str
) -> PriceEntry | None:
    """The catalog's price of a model on a day, None before its first."""
    return next((e for e in reversed(entries.get(name, ())) if e.effective <= day), None)


def cost_of(price: Price, tokens_input: float, tokens_output: float, cached_tokens: float) -> float:
    """USD for some tokens; `cached_tokens` are part of the input and cost their own price.

    Cached tokens without a price of their own cost what input costs.
    """
    cached = min(cached_tokens, tokens_input)
    cached_per_mtok = price.cached_per_mtok
    if cached_per_mtok is None:
        cached_per_mtok = price.input_per_mtok
    return (
        (tokens_input - cached) * price.input_per_mtok
        + cached * cached_per_mtok
        + tokens_output * price.output_per_mtok
    ) / 1e6

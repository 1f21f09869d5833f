"""What was used in a period, of what, and what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from schemas.window import EnrichedWindow, Price

NANO = 1_000_000_000  # nano-dollars of a dollar
INPUT, CACHED, OUTPUT, BESIDE = "input", "cached input", "output", "beside tokens"


class Amount(NamedTuple):
    """Of one kind: tokens, or requests for what is not paid by the token."""

    quantity: int
    nano: int  # nano-dollars


@dataclass(frozen=True, slots=True)
class Usage:
    """What the requests of one model in one scope used, by kind."""

    scope: str
    model: str
    requests: int
    kinds: Mapping[str, Amount]

    def __post_init__(self) -> None:
        """Refuse what no price and no request explains.

        Raises:
            ValueError: a negative number, a cost of nothing, or kinds without a request.
        """
        name = f"{self.model} in {self.scope}"
        if self.requests < 0 or any(amount.quantity < 0 for amount in self.kinds.values()):
            raise ValueError(f"{name} used a negative number of requests or tokens")
        for kind, amount in self.kinds.items():
            if amount.nano and not amount.quantity:
                raise ValueError(f"{name} paid for {kind}, of which there was none")
            if amount.quantity and not self.requests:
                raise ValueError(f"{name} used {kind} without a request")


def used(rows: Iterable[EnrichedWindow]) -> tuple[Usage, ...]:
    """The usage of the windows of a period, one for each scope and model, by name.

    Give windows of one length. A row's cost is split by its price into kinds of tokens; what it
    cost beside that, and all of it where there is no price, is paid by the request. Pooled rows
    are left out, since their keys say the same; so are rows without a cost, which cannot be
    attributed.
    """
    found: dict[tuple[str, str], tuple[int, dict[str, Amount]]] = {}
    for row in rows:
        window = row.window
        if window.pooled or row.cost_usd is None or not window.requests:
            continue
        key = (window.scope, f"{window.provider}/{window.model}")
        requests, kinds = found.get(key, (0, {}))
        for kind, amount in _amounts(row, row.cost_usd).items():
            before = kinds.get(kind, Amount(0, 0))
            kinds[kind] = Amount(before.quantity + amount.quantity, before.nano + amount.nano)
        found[key] = (requests + window.requests, kinds)
    return tuple(
        Usage(scope, model, requests, kinds)
        for (scope, model), (requests, kinds) in sorted(found.items())
    )


def _amounts(row: EnrichedWindow, cost: float) -> dict[str, Amount]:
    whole = round(Fraction(cost) * NANO)
    paid = {} if row.price is None else _tokens(row, row.price)
    rest = whole - sum(amount.nano for amount in paid.values())
    return {**paid, BESIDE: Amount(row.window.requests, rest)} if rest else paid


def _tokens(row: EnrichedWindow, price: Price) -> dict[str, Amount]:
    counts = {
        name: 0 if (summary := row.window.metrics.get(name)) is None else round(summary.sum)
        for name in ("tokens_input", "tokens_output", "cached_tokens")
    }
    cached = min(counts["cached_tokens"], counts["tokens_input"])
    kept = price.input_per_mtok if price.cached_per_mtok is None else price.cached_per_mtok
    return {
        kind: Amount(tokens, round(tokens * Fraction(per_mtok) * NANO / 1_000_000))
        for kind, tokens, per_mtok in (
            (INPUT, counts["tokens_input"] - cached, price.input_per_mtok),
            (CACHED, cached, kept),
            (OUTPUT, counts["tokens_output"], price.output_per_mtok),
        )
        if tokens
    }

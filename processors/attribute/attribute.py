"""How much of a change of the cost is due to traffic, models, tokens and prices?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from processors.attribute.usage import Amount, Usage


class Cause(StrEnum):
    """What a cost is a product of."""

    TRAFFIC = "traffic"  # requests of the scope
    MODELS = "models"  # share of them that the model answered
    TOKENS = "tokens"  # of the kind, per request
    PRICE = "price"  # of one


class Part(NamedTuple):
    """What one cause added to the cost of one kind of tokens of one model in one scope."""

    scope: str
    model: str
    kind: str
    cause: Cause
    nano: int  # nano-dollars, negative where it saved


@dataclass(frozen=True, slots=True)
class Attribution:
    """A change of the cost in parts."""

    before: int  # nano-dollars
    after: int
    parts: tuple[Part, ...]  # by scope, model, kind and cause; those of 0 are left out

    @property
    def change(self) -> int:
        """What all parts add up to, exactly."""
        return self.after - self.before

    def by(self, name: Literal["scope", "model", "kind", "cause"]) -> dict[str, int]:
        """The change by one name, the largest first; these add up to it, too."""
        sums: dict[str, int] = defaultdict(int)
        for part in self.parts:
            sums[getattr(part, name)] += part.nano
        return dict(sorted(sums.items(), key=lambda each: (-abs(each[1]), each[0])))


Ratio = tuple[int, int]  # numerator, denominator > 0: Fraction would look for common factors
Line = tuple[str, str, str]  # scope, model, kind
NOTHING = Amount(0, 0)

# Shapley's weights |S|!·(3 − |S|)!/4! of the other causes that have changed already, in twelfths
ORDERS = (3, 1, 1, 3)


def attribute(before: Iterable[Usage], after: Iterable[Usage]) -> Attribution:
    """Divide the change of the cost between two periods among what it came from.

    Each line (scope, model, kind of tokens) costs

        requests of the scope · share of the model · tokens per request · price per token,

    and each factor gets its Shapley value: what its change adds, averaged over all orders in which
    the four could have changed. The parts of a line add up to its change for every order, so their
    mean does, and no order is preferred. Everything is computed in fractions and rounded at the
    end, each part by less than a nano-dollar, so that the parts add up to the whole change.

    What was not there has the other period's value of what it would have been: a new scope is all
    traffic, a new model all share, a kind of tokens never used before all tokens.

    Reference: Shapley, "A value for n-person games", 1953; Shorrocks, "Decomposition procedures
    for distributional analysis", J. Economic Inequality 2013.

    Args:
        before: of the earlier period, each scope and model once.
        after: of the later one, as long.

    Raises:
        ValueError: a scope and model twice in one period.

    Examples:
        Twice the requests at half the price, and nothing is due to the tokens:

        >>> old = Usage("shop/answer", "a/b", 10, {"input": Amount(1000, 2000)})
        >>> new = Usage("shop/answer", "a/b", 20, {"input": Amount(2000, 2000)})
        >>> attribute([old], [new]).by("cause")
        {<Cause.PRICE: 'price'>: -1500, <Cause.TRAFFIC: 'traffic'>: 1500}
    """
    periods = _period(before), _period(after)
    names = sorted(
        {
            (scope, model, kind)
            for period in periods
            for (scope, model), usage in period.items()
            for kind in usage.kinds
        }
    )
    traffic = [_traffic(period) for period in periods]
    exact: list[tuple[Line, Cause, Ratio]] = []
    for line in names:
        old, new, whole = _factors(line, periods, traffic)
        for number, cause in enumerate(Cause):
            if old[number] != new[number]:
                exact.append((line, cause, (_shapley(old, new, number), 12 * whole)))
    totals = [
        sum(amount.nano for usage in period.values() for amount in usage.kinds.values())
        for period in periods
    ]
    rounded = _rounded([share for _, _, share in exact], totals[1] - totals[0])
    parts = tuple(
        Part(*line, cause, nano)
        for (line, cause, _), nano in zip(exact, rounded, strict=True)
        if nano
    )
    return Attribution(totals[0], totals[1], parts)


Period = Mapping[tuple[str, str], Usage]


def _period(usages: Iterable[Usage]) -> Period:
    found: dict[tuple[str, str], Usage] = {}
    for usage in usages:
        if (usage.scope, usage.model) in found:
            raise ValueError(f"{usage.model} in {usage.scope} was given twice for one period")
        found[usage.scope, usage.model] = usage
    return found


def _traffic(period: Period) -> Mapping[str, int]:
    sums: dict[str, int] = defaultdict(int)
    for usage in period.values():
        sums[usage.scope] += usage.requests
    return sums


def _factors(
    line: Line, periods: Sequence[Period], traffic: Sequence[Mapping[str, int]]
) -> tuple[list[int], list[int], int]:
    """The four factors before and after, as numerators, and the product of their denominators.

    One that has no value has the other's.
    """
    scope, model, kind = line
    found: list[list[Ratio]] = []
    for period, requests in zip(periods, traffic, strict=True):
        usage = period.get((scope, model))
        everyone = requests.get(scope, 0)
        mine = 0 if usage is None else usage.requests
        amount = NOTHING if usage is None else usage.kinds.get(kind, NOTHING)
        found.append(
            [
                (everyone, 1),
                (mine, everyone),
                (amount.quantity, mine),
                (amount.nano, amount.quantity),
            ]
        )
    before, after, whole = [], [], 1
    for old, new in zip(*found, strict=True):
        (a, b), (c, d) = (old if old[1] else new), (new if new[1] else old)
        before.append(a * d)
        after.append(c * b)
        whole *= b * d or 1
    return before, after, whole


def _shapley(old: Sequence[int], new: Sequence[int], number: int) -> int:
    """What the change of one factor adds, averaged over the orders of the four, in twelfths."""
    # sums of the products of the others, by how many of them have changed
    sums = [1, 0, 0, 0]
    for other in (n for n in range(len(old)) if n != number):
        sums = [
            each * old[other] + (sums[n - 1] * new[other] if n else 0)
            for n, each in enumerate(sums)
        ]
    return (new[number] - old[number]) * sum(w * each for w, each in zip(ORDERS, sums, strict=True))


def _rounded(shares: Sequence[Ratio], total: int) -> list[int]:
    """Whole numbers that add up to *total*, as the shares do, each off by less than 1."""
    whole = [share // unit for share, unit in shares]
    left = [share % unit / unit for share, unit in shares]
    for n in sorted(range(len(shares)), key=lambda n: (-left[n], n))[: total - sum(whole)]:
        whole[n] += 1
    return whole

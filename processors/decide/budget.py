"""What a scope has spent of its budgets, and what that forbids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from processors.decide.constrain import money
from processors.decide.state import ScopeState, Spend
from schemas.catalog import Constraints
from schemas.decision import Violation
from schemas.window import EnrichedWindow

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
MICRO = 1_000_000  # micro-dollars: sums that do not depend on their order


def spend(state: ScopeState, row: EnrichedWindow) -> ScopeState:
    """Count what a closed minute of the whole scope cost, in its hour and its day (UTC).

    A minute whose cost is not known counts nothing: what is known to be spent is the least that
    was.
    """
    cost = round((row.cost_usd or 0.0) * MICRO)
    start = row.window.start
    hour, day = state.hour or Spend(0, 0), state.day or Spend(0, 0)
    return replace(
        state,
        hour=_plus(hour, start - start % HOUR_MS, cost),
        day=_plus(day, start - start % DAY_MS, cost),
    )


def overspent(limits: Constraints, state: ScopeState) -> Iterator[Violation]:
    """The budgets that are spent: until their hour or day is over nothing dearer is tried.

    What saves money and what leaves a failing provider is still allowed.
    """
    for constraint, limit, spent, what in (
        ("hourly_budget_usd", limits.hourly_budget_usd, state.hour, "hour"),
        ("daily_budget_usd", limits.daily_budget_usd, state.day, "day"),
    ):
        if spent is None or spent.micros <= limit * MICRO:
            continue
        usd = spent.micros / MICRO
        yield Violation(
            constraint=constraint,
            limit=limit,
            value=usd,
            explanation=(
                f"{money(usd)} of {money(limit)} are spent in this {what}: until it is over "
                "nothing is tried that does not save."
            ),
            suggestion=f"Wait for the next {what}, or raise {constraint} for this scope.",
        )


def _plus(spent: Spend, start: int, micros: int) -> Spend:
    """The spending of the period that begins at *start*, with so much more of it."""
    if start < spent.start:  # a minute that came after its period
        return spent
    return Spend(start, (spent.micros if start == spent.start else 0) + micros)

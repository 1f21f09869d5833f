"""What was to be expected is not told: events that recur, and what the optimizer did itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas.catalog import Event


class Span(NamedTuple):
    """A time in which something is known to happen, [start, end) in ms (stored without names)."""

    start: int
    end: int
    reason: str  # such as "rollout 7 of search"


@dataclass(frozen=True, slots=True)
class Recurring:
    """The same again and again: *length* ms from *first* and each *period* ms later.

    Raises:
        ValueError: it would never be over.
    """

    first: int
    period: int
    length: int
    reason: str

    def __post_init__(self) -> None:
        """Refuse what is always on, or never."""
        if not 0 < self.length < self.period:
            raise ValueError("a recurring event must be shorter than its period, and above 0 ms")

    def touches(self, start: int, end: int) -> bool:
        """Whether it is on at some time of [start, end), from the first time on."""
        if end <= self.first:
            return False
        into = (max(start, self.first) - self.first) % self.period
        return into < self.length or into + end - max(start, self.first) > self.period


def known(events: Iterable[Event]) -> dict[str, tuple[Recurring, ...]]:
    """The events that people have declared, by the scope that they are of, in the order of ids."""
    found: dict[str, tuple[Recurring, ...]] = {}
    for event in sorted(events, key=lambda each: each.id):
        each = Recurring(
            1_000 * event.at_s,
            1_000 * event.every_s,
            1_000 * event.lasts_s,
            f"{event.id}: {event.description}" if event.description else event.id,
        )
        for scope in event.scopes:
            found[scope] = (*found.get(scope, ()), each)
    return found


def expected(
    start: int, end: int, spans: Sequence[Span], recurring: Sequence[Recurring] = ()
) -> str | None:
    """Why a window [start, end) was to be unusual; None where nothing says so.

    >>> expected(60_000, 120_000, [Span(100_000, 400_000, "rollout 7 of search")])
    'rollout 7 of search'
    """
    for span in spans:
        if span.start < end and start < span.end:
            return span.reason
    return next((each.reason for each in recurring if each.touches(start, end)), None)

"""What goes wrong, when, where and how badly: values, to be read from a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a fault does while it lasts; `strength` is its one number."""

    OUTAGE = "outage"  # this share of requests fails with 503
    SLOW = "slow"  # latency times this
    ERRORS = "errors"  # this much is added to the error rate
    QUALITY = "quality"  # quality lower by this share
    PRICE = "price"  # price times this
    SILENT = "silent"  # this share of the reports is never sent (1 for all)
    DUPLICATE = "duplicate"  # this share of the reports is sent twice
    LATE = "late"  # this share of the reports is sent up to `delay_s` later
    GARBAGE = "garbage"  # so many unreadable messages for each report


SHARES = {Kind.OUTAGE, Kind.ERRORS, Kind.QUALITY, Kind.SILENT, Kind.DUPLICATE, Kind.LATE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault. Times are minutes of the simulation; None in a target means any.

    Raises:
        ValueError: The strength or the times make no sense.
    """

    kind: Kind
    strength: float
    start: float = 0.0
    end: float = float("inf")
    service: str | None = None
    endpoint: str | None = None
    provider: str | None = None
    model: str | None = None
    delay_s: float = 120.0  # of LATE, at most, in simulated time

    def __post_init__(self) -> None:
        """Check."""
        top = 1.0 if self.kind in SHARES else float("inf")
        if not 0.0 <= self.strength <= top:
            raise ValueError(f"The strength of {self.kind} is {self.strength}, not 0 to {top:g}.")
        if not self.start < self.end:
            raise ValueError(f"A fault must start before it ends: {self.start} to {self.end}.")
        if self.delay_s <= 0:
            raise ValueError(f"delay_s is {self.delay_s}: give the seconds that reports are late.")
        if self.kind not in SERVING and (self.provider or self.model):
            raise ValueError(f"{self.kind} concerns an application: name a service, not a model.")

    def concerns(self, service: str, endpoint: str) -> bool:
        """Whether requests of that endpoint can be hit."""
        return self.service in (None, service) and self.endpoint in (None, endpoint)

    def hits(self, provider: str, model: str) -> bool:
        """Whether requests to that model are hit."""
        return self.provider in (None, provider) and self.model in (None, model)

    def active(self, begin: float, end: float) -> bool:
        """Whether it is on at some time of [begin, end), in minutes."""
        return self.start < end and begin < self.end


SERVING = {Kind.OUTAGE, Kind.SLOW, Kind.ERRORS, Kind.QUALITY, Kind.PRICE}


def fault_of(raw: Mapping[str, Any]) -> Fault:
    """A fault from what a scenario says.

    Raises:
        ValueError: Something in it is not known; the sentence says what.
    """
    known = {field.name for field in fields(Fault)}
    unknown = set(raw) - known
    if unknown:
        raise ValueError(f"A fault has no {min(unknown)!r}; it has {', '.join(sorted(known))}.")
    kind = str(raw.get("kind", ""))
    if kind not in set(Kind):
        raise ValueError(f"{kind!r} is no kind of fault; there are {', '.join(Kind)}.")
    if "strength" not in raw:
        raise ValueError(f"The fault {kind!r} needs a strength.")
    numbers = {name: float(raw[name]) for name in NUMBERS if name in raw}
    names = {name: str(raw[name]) for name in NAMES if raw.get(name) is not None}
    return Fault(kind=Kind(kind), **numbers, **names)  # type: ignore[arg-type]


NUMBERS = ("strength", "start", "end", "delay_s")
NAMES = ("service", "endpoint", "provider", "model")

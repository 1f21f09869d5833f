"""What goes wrong, when, where and how badly: values, to be read from a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from math import inf, isnan
from typing import Any


class Kind(StrEnum):
    """What a fault does while it lasts; `strength` is its one number."""

    # of a model that serves
    OUTAGE = "outage"  # this share of requests fails with 503
    FLAPPING = "flapping"  # the same for two minutes of every four
    ERRORS = "errors"  # this much is added to the error rate
    TIMEOUT = "timeout"  # this share of requests gets no answer in time: 504
    RATE_LIMIT = "rate_limit"  # a quota is used up: in this last part of each minute all get 429
    RETRIES = "retries"  # this share is answered at the fourth attempt only, four times as late
    SLOW = "slow"  # latency times this
    DRIFT = "drift"  # latency grows by this share of what it was, every hour
    TAIL = "tail"  # latency times this, of two requests in a hundred
    JITTER = "jitter"  # latency times chance: of mean 1, and of this σ of its logarithm
    SLOW_START = "slow_start"  # time to the first token times this
    THROUGHPUT = "throughput"  # time per further token times this
    VERBOSE = "verbose"  # output tokens times this
    TRUNCATED = "truncated"  # this share of answers ends after a tenth, and is worth half as much
    REFUSAL = "refusal"  # this share of answers is a refusal, of 20 tokens at most
    QUALITY = "quality"  # quality lower by this share
    QUALITY_DRIFT = "quality_drift"  # quality lower by this share of what it was, every hour
    COLLAPSE = "collapse"  # this share of answers is worth next to nothing
    PRICE = "price"  # price times this
    # of an application
    SURGE = "surge"  # requests times this
    DROP = "drop"  # this share of the requests is never made
    BLOAT = "bloat"  # input tokens times this
    CACHE_MISS = "cache_miss"  # this share of the cached tokens is not found there any more
    STUCK = "stuck"  # every latency is said to be this many times the usual one
    SILENT = "silent"  # this share of the reports is never sent (1 for all)
    DUPLICATE = "duplicate"  # this share of the reports is sent twice
    LATE = "late"  # this share of the reports is sent up to `delay_s` later
    GARBAGE = "garbage"  # so many unreadable messages for each report


SERVING = frozenset(list(Kind)[: list(Kind).index(Kind.SURGE)])
"""What happens to requests once a model has them, and may so concern one model alone."""
ASKING = frozenset({Kind.SURGE, Kind.DROP, Kind.BLOAT, Kind.CACHE_MISS, Kind.STUCK})
"""What applications do to their own requests; the rest is what becomes of the reports."""
FACTORS = {  # what is multiplied; of a surge there is more
    Kind.SLOW: 0.0,
    Kind.TAIL: 0.0,
    Kind.SLOW_START: 0.0,
    Kind.THROUGHPUT: 0.0,
    Kind.VERBOSE: 0.0,
    Kind.BLOAT: 0.0,
    Kind.PRICE: 0.0,
    Kind.STUCK: 0.0,
    Kind.SURGE: 1.0,
}
OPEN = {Kind.DRIFT, Kind.JITTER, Kind.GARBAGE}  # 0 or more; all others are shares, 0 to 1
TARGETS = ("provider", "model", "version", "cohort")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault. Times are minutes of the simulation; None in a target means any.

    Raises:
        ValueError: The strength or the times make no sense.
    """

    kind: Kind
    strength: float
    start: float = 0.0
    end: float = inf
    service: str | None = None
    endpoint: str | None = None
    provider: str | None = None
    model: str | None = None
    version: str | None = None  # of the config that serves
    cohort: str | None = None
    delay_s: float = 120.0  # of LATE, at most, in simulated time

    def __post_init__(self) -> None:
        """Check."""
        low = FACTORS.get(self.kind, 0.0)
        top = inf if self.kind in FACTORS or self.kind in OPEN else 1.0
        if not low <= self.strength <= top or self.strength == inf:
            raise ValueError(
                f"The strength of {self.kind} is {self.strength}, not {low:g} to {top:g}."
            )
        if not self.start < self.end:
            raise ValueError(f"A fault must start before it ends: {self.start} to {self.end}.")
        if self.delay_s <= 0 or isnan(self.delay_s):
            raise ValueError(f"delay_s is {self.delay_s}: give the seconds that reports are late.")
        if self.kind not in SERVING and any(getattr(self, name) for name in TARGETS):
            raise ValueError(f"{self.kind} concerns an application: name a service, not a model.")

    def concerns(self, service: str, endpoint: str) -> bool:
        """Whether requests of that endpoint can be hit."""
        return self.service in (None, service) and self.endpoint in (None, endpoint)

    def hits(
        self, provider: str, model: str, version: str | None = None, cohort: str | None = None
    ) -> bool:
        """Whether requests are hit that such a config serves."""
        served = (provider, model, version, cohort)
        return all(
            wanted in (None, name)
            for wanted, name in zip((getattr(self, each) for each in TARGETS), served, strict=True)
        )

    def active(self, begin: float, end: float) -> bool:
        """Whether it is on at some time of [begin, end), in minutes."""
        return self.start < end and begin < self.end


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
NAMES = ("service", "endpoint", *TARGETS)

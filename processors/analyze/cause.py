"""What may have caused a change: the events of its time, ranked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a scope: deployments, prices, outages."""

    id: str
    kind: str
    scope: str  # service/endpoint, a service, or *
    at: int  # ms
    what: str = ""  # for people


@dataclass(frozen=True, slots=True, kw_only=True)
class CausePolicy:
    """How soon a cause shows.

    Raises:
        ValueError: A length of time that is none.
    """

    delay_ms: float = 300_000.0  # until a cause shows, on average
    unrelated: float = 0.1  # belief, before, that a change has a cause that is not among the events

    def __post_init__(self) -> None:
        """Refuse causes that show before they are there."""
        if self.delay_ms <= 0.0 or not 0.0 < self.unrelated < 1.0:
            raise ValueError("delay_ms must be above 0, unrelated between 0 and 1, exclusive")


@dataclass(frozen=True, slots=True)
class Cause:
    """An event as the cause of a change."""

    event: Event
    before_ms: int  # how long before the change; negative where it is after, within the doubt
    share: float  # of the belief; what is left to 1 is that it was none of them
    coincidence: float  # chance that an event of this kind lies as near without being the cause


def causes(
    scope: str,
    at: int,
    doubt_ms: float,
    events: Sequence[Event],
    span_ms: float,
    policy: CausePolicy | None = None,
) -> list[Cause]:
    r"""Rank the events that may have caused a change.

    An event at distance d before the change has the likelihood of a delay that is exponential with
    the mean *delay_ms*, and of a place of the change that is off by *doubt_ms* on average
    (Laplace): their sum's density at d. Against it stands that an unrelated event lies anywhere in
    the span. With a prior that is the same for each event, the share is the posterior. The
    coincidence is 1 − exp(−n d / span) with n events of the kind in the span: small where the kind
    is rare and the distance short.

    Args:
        scope: Whose metric changed: its own events count, and those of its service and of all.
        at: ms, the first point after the change.
        doubt_ms: How far off its place is on average, such as one step of the series; above 0.
        events: Of the span, in any order.
        span_ms: The length of time that *events* are of.
        policy: How soon a cause shows.

    Returns:
        The likeliest first; none of another scope, nor of later than five times the doubt.
    """
    policy = policy or CausePolicy()
    over = [event for event in events if covers(event.scope, scope)]
    near = [event for event in over if at - event.at >= -5.0 * doubt_ms]
    if not near:
        return []
    prior = (1.0 - policy.unrelated) / len(near)
    ratios = [prior * span_ms * density(at - event.at, policy.delay_ms, doubt_ms) for event in near]
    whole = math.fsum(ratios) + policy.unrelated
    kinds = [event.kind for event in over]
    found = [
        Cause(
            event,
            at - event.at,
            ratio / whole,
            -math.expm1(-kinds.count(event.kind) * abs(at - event.at) / span_ms),
        )
        for event, ratio in zip(near, ratios, strict=True)
    ]
    return sorted(found, key=lambda each: (-each.share, abs(each.before_ms), each.event.id))


def covers(wide: str, scope: str) -> bool:
    """Whether what happens to one scope happens to the other.

    >>> covers("*", "search/answer"), covers("search", "search/answer"), covers("se", "search")
    (True, True, False)
    """
    return wide in ("*", scope) or scope.startswith(f"{wide}/")


def density(distance: float, delay: float, doubt: float) -> float:
    """Density at *distance* of an exponential delay plus a Laplace error, of these means.

    >>> density(0.0, 1.0, 1e-9) < 1.0001
    True
    """
    if math.isclose(delay, doubt, rel_tol=1e-6):
        delay *= 1.00001
    if distance < 0.0:
        return math.exp(distance / doubt) / (2.0 * (delay + doubt))
    slow = math.exp(-distance / delay) * delay / (delay * delay - doubt * doubt)
    fast = math.exp(-distance / doubt) / (2.0 * (delay - doubt))
    return max(slow - fast, 0.0)

"""What an entry of the catalog may say, checked field by field."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import date

from schemas.bounds import ANY, COUNT, OPEN, POINTS, POSITIVE, SHARE, Bounds
from schemas.catalog import (
    Constraints,
    Entry,
    Event,
    Model,
    PriceEntry,
    Rule,
    Sla,
    Step,
    Strategy,
    WindowPolicy,
)
from schemas.conditions import tellable
from schemas.ladder import climbable
from schemas.scope import ALL, BUCKETS, misnamed
from schemas.shape import refuse
from schemas.span import problem, span
from schemas.trigger import Trigger, watchable

BOUNDS: Mapping[type, Mapping[str, Bounds]] = {
    Model: {
        "quality": POINTS,
        "quality_margin": POINTS,
        "error_rate": SHARE,
        "p95_latency_ms": POSITIVE,
        "context_window": POSITIVE,
    },
    Sla: {"p95_latency_ms": POSITIVE, "error_rate": SHARE, "availability": SHARE},
    Constraints: {
        "max_error_rate": SHARE,
        "max_p95_latency_ms": POSITIVE,
        "min_quality": POINTS,
        "min_availability": SHARE,
        "max_optimizations": COUNT,
        "max_rollouts": COUNT,
        "max_returns": COUNT,
    },
    Strategy: {
        "min_improvement": SHARE,
        "min_confidence": SHARE,
        "alpha": OPEN,
        "error_margin": SHARE,
        "quality_margin": SHARE,
        "min_samples": POSITIVE,
        "max_error_rate": SHARE,
        "max_p95_latency_ms": POSITIVE,
        "min_quality": POINTS,
    },
    Event: {"lasts_s": POSITIVE, "every_s": POSITIVE},
    Trigger: {"limit": POSITIVE, "min_requests": POSITIVE, "expires_s": POSITIVE},
    Step: {"share": (1 / BUCKETS, 1.0, "a share from 0.01 % to 100 %")},
}
NAME = re.compile(r"[^\s|*]{1,256}")
"""What a provider or a model may be called."""
TOGETHER = ("max_optimizations", "max_rollouts", "max_returns")
"""Limits of constraints that are of the whole system."""


def validate(where: str, entry: Entry) -> None:
    """Raise when *entry* cannot be used.

    Args:
        where: The key of the entry, for the sentence.
        entry: Any entry of the catalog, of whatever origin.

    Raises:
        InvalidCatalog: with a sentence that names the entry, the field and what to change.
    """
    _numbers(where, entry)
    match entry:
        case Model() | PriceEntry():
            _called(where, "provider", entry.provider)
            _called(where, "model", entry.model)
        case Sla() | Constraints():
            _scope(f"{where}, scope", entry.scope)
        case _:
            pass
    if isinstance(entry, Model | Rule | Trigger | Event):
        _names(where, entry.scopes)
    _parts(where, entry)


def _parts(where: str, entry: Entry) -> None:
    """What only entries of one kind have."""
    match entry:
        case PriceEntry():
            _day(f"{where}, effective", entry.effective)
        case Model(release_date=str() as day):
            _day(f"{where}, release_date", day)
        case Rule():
            tellable(f"{where}, when", entry.when)
        case Strategy():
            for n, step in enumerate(entry.steps, 1):
                _numbers(f"{where}, steps {n}", step)
            climbable(where, entry)
        case Trigger():
            watchable(where, entry)
        case WindowPolicy():
            _window(where, entry)
        case Constraints():
            _together(where, entry)
        case Event() if entry.lasts_s >= entry.every_s:
            words = f"it would never be over; write less than every, {entry.every_s}s"
            raise refuse(f"{where}, lasts", words)
        case _:
            pass


def _together(where: str, entry: Constraints) -> None:
    for name in TOGETHER:
        if entry.scope != ALL and getattr(entry, name) != getattr(Constraints(), name):
            words = f"it counts all scopes together; write it in the constraints of {ALL!r}"
            raise refuse(f"{where}, {name}", words)


def _numbers(where: str, entry: object) -> None:
    for field in fields(entry):  # type: ignore[arg-type]  # every entry is a dataclass
        value = getattr(entry, field.name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        low, high, words = BOUNDS.get(type(entry), {}).get(field.name, ANY)
        if not low <= value <= high or not math.isfinite(value):
            raise refuse(f"{where}, {field.name}", f"{value:g} is not possible; write {words}")


def _day(where: str, value: str) -> None:
    try:
        date.fromisoformat(value)
    except ValueError:
        raise refuse(where, f"{value!r} is not a date; write it as 2026-01-31") from None
    if len(value) != len("2026-01-31"):
        raise refuse(where, f"{value!r} is not a date with dashes; write it as 2026-01-31")


def _names(where: str, scopes: tuple[str, ...]) -> None:
    if not scopes:
        raise refuse(f"{where}, scopes", 'the list is empty, so it would never apply; write ["*"]')
    for scope in scopes:
        _scope(f"{where}, scopes", scope)


def _scope(where: str, scope: str) -> None:
    why = misnamed(scope)
    if why is not None:
        raise refuse(where, f'{scope!r}: {why}; write service/endpoint, service or "*"')


def _called(where: str, part: str, name: str) -> None:
    if NAME.fullmatch(name) is None or not name.isprintable():
        raise refuse(
            f"{where}, {part}",
            f"{name!r} is no name; write it as events do: 1 to 256 characters, without spaces, "
            "'|' and '*'",
        )


def _window(where: str, policy: WindowPolicy) -> None:
    wanted = {"hopping": ("size", "hop"), "session": ("gap", "longest")}
    for kind, names in wanted.items():
        for name in names:
            given = getattr(policy, f"{name}_s") is not None
            if kind == policy.kind and not given:
                raise refuse(where, f"{kind} windows need a {name}; add it, like {name}: 10m")
            if kind != policy.kind and given:
                raise refuse(
                    f"{where}, {name}",
                    f"this is of {kind} windows; remove it, or write kind: {kind}",
                )
    wrong = problem(span(policy))
    if wrong is not None:
        raise refuse(f"{where}, {wrong[0]}", wrong[1])

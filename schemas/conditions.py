"""What a condition of a rule may ask."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

from schemas.bounds import ANY, NUMBER, POINTS, SHARE
from schemas.catalog import BETTER, Condition, Metric
from schemas.shape import hint, refuse

JUDGED = (
    "p95_latency_ms",
    "error_rate",
    "cost_per_request_usd",
    "quality",
    "requests",
    "p50_latency_ms",
    "p95_ttft_ms",
    "cached_share",
)
"""The metrics that the detector judges, which an anomaly condition may name."""
INSIGHTS: Mapping[str, tuple[str, ...]] = {
    "trend": ("window", "direction", "op", "value", "confidence"),
    "change_point": ("window", "direction", "by", "held_s", "confidence"),
    "comparison": ("window", "direction", "by", "than", "confidence"),
    "forecast": ("window", "op", "value", "ahead_s", "bound", "confidence"),
    "prediction": ("model", "op", "value", "bound", "confidence"),
}
"""What a condition on an insight may say beside its metric."""
BRANCHES = ("all_of", "any_of", "none_of")
OURS = frozenset(name for names in INSIGHTS.values() for name in names) - {"op", "value", "held_s"}
"""The fields that no other condition has."""
DEFAULTS = {field.name: getattr(Condition(), field.name) for field in fields(Condition)}


def branches(condition: Condition) -> Iterator[tuple[str, Condition]]:
    """The conditions that it is made of, each with its place."""
    for name in BRANCHES:
        for n, part in enumerate(getattr(condition, name), 1):
            yield f"{name} {n}", part


def insight_of(condition: Condition) -> tuple[str, Metric] | None:
    """Which kind of insight a leaf asks for, and of which metric; None for anything else.

    >>> insight_of(Condition(trend=Metric.QUALITY, direction="degrading"))
    ('trend', <Metric.QUALITY: 'quality'>)
    """
    for kind in INSIGHTS:
        metric = getattr(condition, kind)
        if metric is not None:
            return kind, metric
    return None


def tellable(where: str, condition: Condition) -> None:
    """Raise when *condition* could never hold, or not as it says.

    Args:
        where: The key of the entry and the field, for the sentence.
        condition: Of whatever origin.

    Raises:
        InvalidCatalog: with a sentence that names the field and what to change.
    """
    leaves = ("metric", "anomaly", *INSIGHTS)
    kinds = [name for name in (*leaves, *BRANCHES) if getattr(condition, name) not in (None, ())]
    if not kinds:
        some = ", ".join(("an anomaly", *(f"a {name}" for name in INSIGHTS)))
        raise refuse(where, f"is empty; give a metric with op and value, {some}, or all_of …")
    if len(kinds) > 1:
        raise refuse(where, f"has {' and '.join(kinds)}; keep one, or put both under all_of")
    if condition.held_s < 0:
        raise refuse(f"{where}, held", f"{condition.held_s} is negative; write a duration or 0")
    (kind,) = kinds
    if kind in INSIGHTS:
        _insight(where, kind, condition)
    else:
        _plain(where, kind, condition)
    for place, part in branches(condition):
        tellable(f"{where}, {place}", part)


def _plain(where: str, kind: str, condition: Condition) -> None:
    """What needs no analysis: a metric, an anomaly, or branches."""
    for name in sorted(OURS):
        if getattr(condition, name) != DEFAULTS[name]:
            owners = [each for each, names in INSIGHTS.items() if name in names]
            raise refuse(
                f"{where}, {_written(name)}",
                f"{kind} has none; remove it, or ask for a {' or '.join(owners)}",
            )
    if kind == "metric":
        _comparison(where, condition)
    elif condition.op is not None or condition.value is not None or condition.relative_to:
        raise refuse(where, "op, value and relative_to need a metric; add it or remove them")
    elif kind in BRANCHES and condition.held_s:
        raise refuse(where, "held needs a metric or an anomaly; move it into the branches")
    if condition.anomaly is not None and condition.anomaly not in JUDGED:
        raise refuse(
            f"{where}, anomaly",
            f"{condition.anomaly!r} is unknown; {hint(condition.anomaly, JUDGED)}",
        )


def _comparison(where: str, condition: Condition) -> None:
    if condition.op is None or condition.value is None:
        raise refuse(where, f"{condition.metric} needs op and value; add both")
    own = condition.relative_to is None
    _within(where, "value", condition.value, _bounds(condition.metric) if own else ANY)
    if condition.held_s % 60:
        raise refuse(f"{where}, held", f"{condition.held_s} s is no number of minutes; round it")


def _insight(where: str, kind: str, condition: Condition) -> None:
    """A leaf that asks what analysis found."""
    metric: Metric = getattr(condition, kind)
    for name in (*sorted(OURS), "op", "value", "held_s", "relative_to", "severity"):
        if name not in INSIGHTS[kind] and getattr(condition, name) != DEFAULTS[name]:
            raise refuse(
                f"{where}, {_written(name)}",
                f"a {kind} has none; it has {_list([_written(each) for each in INSIGHTS[kind]])}",
            )
    _within(where, "confidence", condition.confidence, SHARE)
    _within(where, "by", condition.by, ANY)
    if (condition.op is None) != (condition.value is None):
        raise refuse(where, f"the {kind} of {metric} has one of op and value; give both")
    if condition.value is not None:
        _within(where, "value", condition.value, NUMBER if kind == "trend" else _bounds(metric))
    asks = condition.op is not None or (kind == "trend" and condition.direction is not None)
    if not asks and "op" in INSIGHTS[kind]:
        more = " or a direction" if kind == "trend" else ""
        raise refuse(where, f"the {kind} of {metric} needs op and value{more}; add them")
    if kind == "forecast" and condition.ahead_s <= 0:
        raise refuse(
            f"{where}, ahead", f"{condition.ahead_s} s from now is not ahead; write 6h, 1d …"
        )
    if kind == "prediction" and not all(str(condition.model or "").partition("/")):
        raise refuse(
            f"{where}, model", f"{condition.model!r} is no model; write it as provider/model"
        )
    _sides(where, kind, metric, condition)


def _sides(where: str, kind: str, metric: Metric, condition: Condition) -> None:
    """What asks which way is good, of a metric of which nobody knows."""
    if condition.direction == "stable" and (kind != "trend" or condition.op is not None):
        raise refuse(
            f"{where}, direction",
            f"a {kind} that is asked for its size is not stable; write degrading, rising …",
        )
    good = condition.direction in ("improving", "degrading")
    if metric in BETTER or not (good or kind == "comparison" or condition.bound == "pessimistic"):
        return
    if condition.bound == "pessimistic":
        raise refuse(f"{where}, bound", f"nobody knows which way is worse for {metric}; remove it")
    if condition.direction not in ("rising", "falling"):
        raise refuse(
            f"{where}, direction",
            f"nobody knows which way is good for {metric}; write rising or falling",
        )


def _bounds(metric: Metric | None) -> tuple[float, float, str]:
    if metric in (Metric.ERROR_RATE, Metric.TIMEOUT_RATE):
        return SHARE
    return POINTS if metric is Metric.QUALITY else ANY


def _within(where: str, name: str, value: float, bounds: tuple[float, float, str]) -> None:
    low, high, words = bounds
    if not math.isfinite(value) or not low <= value <= high:
        raise refuse(f"{where}, {name}", f"{value:g} is not possible; write {words}")


def _written(name: str) -> str:
    """A field as people write it."""
    return name.removesuffix("_s")


def _list(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"

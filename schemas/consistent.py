"""Whether what a record says can be meant: what no step of ours writes, no step need take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from itertools import pairwise
from typing import Any

from schemas.alarm import Alarm
from schemas.anomaly import Anomaly
from schemas.command import Command
from schemas.config import LlmConfig
from schemas.decision import Decision
from schemas.errors import Reason, Undecodable
from schemas.insight import Insight
from schemas.loop import Transition
from schemas.metrictable import BUCKETS, NAMES, MetricRow
from schemas.report import RollbackReport
from schemas.rollout import Deployment, Look
from schemas.scope import ALL
from schemas.span import Hopping, called
from schemas.window import SIZES, EnrichedWindow, MetricSummary, WindowAggregate

LATEST = 253_402_300_800_000  # ms: the year 10000, which dates are not written for
LONGEST = 1_024  # characters of a name
FIXED = {name: Hopping(name, length, length) for name, length in SIZES.items()}


def inspect(value: Any) -> None:
    """Check a record of any topic beyond its types.

    Raises:
        Undecodable: with the reason, and a sentence that names the field.
    """
    match value:
        case EnrichedWindow():
            _enriched(value)
        case WindowAggregate():
            _window(value)
        case Anomaly():
            _scope(value.scope)
            _time("end", value.end)
        case Insight():
            _scope(value.scope)
            _time("at", value.at)
            _time("end", value.end)
        case Deployment():
            _scope(value.scope)
            _time("at", value.at)
            _quantity("sequence", value.sequence)
            _quantity("revision", value.revision)
        case Look() | Transition() | Alarm() | RollbackReport():
            _scope(value.scope)
            _time("at", value.at)
        case Decision():
            _scope(value.scope)
            _time("at", value.at)
            _configs(value.current, value.chosen)
        case Command():
            _scope(value.scope)
            _time("at", value.at)
            _configs(value.config)
        case _:
            pass


def _enriched(row: EnrichedWindow) -> None:
    _window(row.window)
    for name in ("cost_usd", "cost_per_request_usd"):
        cost = getattr(row, name)
        if cost is not None:
            _quantity(name, cost)


def _window(window: WindowAggregate) -> None:
    kind = FIXED.get(window.window) or called(window.window[:LONGEST])
    if kind is None:
        said = f"window is {window.window[:40]!r}, neither declared nor one of {', '.join(SIZES)}"
        raise Undecodable(Reason.INCONSISTENT, said)
    _scope(window.scope)
    for name in ("start", "end"):
        _time(name, getattr(window, name))
    if not kind.fits(window.start, window.end):
        said = f"{window.start} to {window.end} is no window of {window.window}"
        raise Undecodable(Reason.INCONSISTENT, said)
    for name in ("revision", "requests", "success", "errors", "timeouts", "retries"):
        _quantity(name, getattr(window, name))
    if window.success + window.errors != window.requests or window.timeouts > window.requests:
        raise Undecodable(Reason.INCONSISTENT, "requests, success, errors and timeouts disagree")
    parts = (window.model, window.provider, window.config_version, window.cohort)
    if (window.cohort == ALL) != all(part == ALL for part in parts):
        raise Undecodable(Reason.INCONSISTENT, f"a key is {ALL!r} in some of its parts only")
    _counts("errors_by_type", window.errors_by_type.values())
    _ascending("error_units", window.error_units)
    if not (isinstance(window.metrics, MetricRow) and window.metrics.sound):
        for name, metric in window.metrics.items():
            _metric(name, metric)
    for usage in window.unpriced:
        tokens = (usage.tokens_input, usage.tokens_output, usage.cached_tokens)
        _counts("unpriced", (usage.requests, *tokens))


def _metric(name: str, metric: MetricSummary) -> None:
    if name not in NAMES:
        raise Undecodable(Reason.INCONSISTENT, f"there is no metric {name[:40]!r}")
    for field in fields(metric):
        if field.name != "histogram":
            _quantity(f"{name}.{field.name}", getattr(metric, field.name))
    if metric.count < 1 or metric.min > metric.max:
        raise Undecodable(Reason.INCONSISTENT, f"{name} has no values, or its least is not least")
    found = metric.histogram
    if len(found.buckets) != len(found.counts) or sum(found.counts) != metric.count:
        raise Undecodable(Reason.INCONSISTENT, f"the histogram of {name} is not of its values")
    _counts(f"{name}.histogram", found.counts)
    _ascending(f"{name}.histogram", found.buckets)
    if found.buckets[0] < -1 or found.buckets[-1] > BUCKETS:
        raise Undecodable(Reason.OUT_OF_RANGE, f"the histogram of {name} has an unknown bucket")


def _scope(scope: str) -> None:
    if not scope:
        raise Undecodable(Reason.EMPTY_NAME, "the scope is empty")
    if len(scope) > LONGEST:
        raise Undecodable(Reason.TOO_LONG, f"the scope has {len(scope)} characters")


def _time(name: str, ms: int) -> None:
    if not 0 <= ms < LATEST:
        raise Undecodable(Reason.OUT_OF_RANGE, f"{name} is {ms}, which is no time in ms")


def _quantity(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise Undecodable(Reason.NOT_FINITE, f"{name} is {value}")
    if value < 0:
        raise Undecodable(Reason.NEGATIVE, f"{name} is {value}")


def _counts(name: str, counts: Iterable[int]) -> None:
    if min(counts, default=0) < 0:
        raise Undecodable(Reason.NEGATIVE, f"{name} has a count below zero")


def _ascending(name: str, values: tuple[int, ...]) -> None:
    if any(after <= before for before, after in pairwise(values)):
        raise Undecodable(Reason.INCONSISTENT, f"{name} does not ascend")


def _configs(*configs: LlmConfig | None) -> None:
    for config in configs:
        settings: Mapping[str, float | None] = (
            {} if config is None else {"temperature": config.temperature, "top_p": config.top_p}
        )
        for name, value in settings.items():
            if value is not None:
                _quantity(name, value)

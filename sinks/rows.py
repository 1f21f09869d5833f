"""Records as rows: pure functions from a record of schemas/ to the columns of its table."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from schemas.alarm import Alarm
from schemas.anomaly import Anomaly
from schemas.config import ScopeConfig
from schemas.decision import Decision
from schemas.insight import Insight
from schemas.loop import Transition
from schemas.metrictable import VALUES, MetricRow
from schemas.report import RollbackReport
from schemas.rollout import Deployment, Look
from schemas.window import EnrichedWindow, MetricSummary
from sinks.errors import Refused

Values = tuple[object, ...]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SUMMARY = ("count", *VALUES)
# Postgres has no character zero, in text or in jsonb.
ZERO = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class Table:
    """A table, as its writer sees it: `columns` start with the primary key."""

    name: str
    columns: tuple[str, ...]
    key: int  # how many columns the primary key has
    newer: str  # the column by which one version of a row replaces another
    first: int | None = None  # what `newer` is in the first version of a row, where that is known


WINDOWS = Table(
    "windows",
    (
        *("scope", "window_name", "start_at", "model", "provider", "config_version", "cohort"),
        *("service", "endpoint", "end_at", "revision", "closed", "watermark"),
        *("requests", "success", "errors", "timeouts", "retries"),
        *("latency_mean_ms", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "quality_mean"),
        *("tokens_input", "tokens_output", "cost_usd", "cost_per_request_usd"),
        *("errors_by_type", "metric_names", "metric_counts", "metric_figures"),
        *("price", "target", "model_card", "missing"),
    ),
    key=7,
    newer="revision",
    first=1,
)
ANOMALIES = Table(
    "anomalies",
    (
        *("id", "scope", "metric", "window_name", "start_at", "end_at", "revision", "is_anomaly"),
        *("severity", "confidence", "actual", "expected", "expected_low", "expected_high"),
        *("deviation", "detector", "samples", "causes", "incident", "suppressed"),
    ),
    key=1,
    newer="revision",
)
INSIGHTS = Table(
    "insights",
    (
        *("id", "scope", "kind", "metric", "window_name", "start_at", "end_at", "revision"),
        *("holds", "at", "direction", "value", "reference", "low", "high", "relative", "p"),
        *("confidence", "subject", "causes", "method", "samples", "sentence"),
    ),
    key=1,
    newer="revision",
)
DECISIONS = Table(
    "decisions",
    (
        *("id", "revision", "scope", "at", "rule", "priority", "action", "strategy", "provider"),
        *("model", "confidence", "propensity", "policy", "current", "chosen", "observed"),
        *("inputs", "candidates", "violations", "reasons"),
    ),
    key=1,
    newer="revision",
)
DEPLOYMENTS = Table(
    "deployments",
    (
        *("id", "sequence", "scope", "revision", "at", "phase", "previous", "step", "steps"),
        *("share", "verdict", "guardrails", "reason", "by", "decision_id", "stable_version"),
        *("candidate_version", "stable_model", "candidate_model"),
    ),
    key=2,
    newer="revision",
)
CONFIG_VERSIONS = Table(
    "config_versions",
    (
        *("scope", "revision", "epoch", "updated_at", "stable_version", "stable"),
        *("candidate_version", "candidate", "share", "split", "reason", "decision_id"),
    ),
    key=2,
    newer="epoch",  # of two owners' claims to a revision the later owner's counts
)
TABLES = (WINDOWS, ANOMALIES, INSIGHTS, DECISIONS, DEPLOYMENTS, CONFIG_VERSIONS)


@lru_cache(4096)  # the windows of a batch share their few boundaries
def moment(milliseconds: int) -> datetime:
    """A time in ms since the epoch, as Postgres takes it.

    Raises:
        Refused: it is outside the years 1 to 9999.
    """
    try:
        return EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise Refused(f"{milliseconds} ms is not a time that Postgres can hold.") from None


def text(value: str) -> str:
    """*value* without the character that Postgres does not take."""
    return value.replace("\0", REPLACEMENT) if "\0" in value else value


def json(value: object) -> str:
    """*value* as jsonb; what is not a number (NaN, infinities) becomes null."""
    encoded = msgspec.json.encode(value)
    if rb"\u0000" in encoded:
        encoded = ZERO.sub(rb"\1\\ufffd", encoded)
    return encoded.decode()


def maybe(value: object) -> str | None:
    """*value* as jsonb, None as NULL."""
    return None if value is None else json(value)


_summary = attrgetter(*SUMMARY)


def figures(metrics: Mapping[str, MetricSummary]) -> Mapping[str, Mapping[str, float]]:
    """Each metric's figures without its histogram, which stays on the topic."""
    if isinstance(metrics, MetricRow):  # its summaries would be made for their histograms
        return metrics.figures()
    return {
        name: dict(zip(SUMMARY, _summary(metric), strict=True)) for name, metric in metrics.items()
    }


def aggregate(record: EnrichedWindow) -> Values:
    """The columns of WINDOWS; histograms and error units stay on the topic."""
    window = record.window
    metrics = figures(window.metrics)
    latency, quality = metrics.get("latency_ms"), metrics.get("quality")
    read, written = metrics.get("tokens_input"), metrics.get("tokens_output")
    return (
        text(window.scope),
        window.window,
        moment(window.start),
        text(window.model),
        text(window.provider),
        text(window.config_version),
        text(window.cohort),
        text(window.service),
        text(window.endpoint),
        moment(window.end),
        window.revision,
        window.closed,
        moment(window.watermark),
        window.requests,
        window.success,
        window.errors,
        window.timeouts,
        window.retries,
        None if latency is None else latency["mean"],
        None if latency is None else latency["p50"],
        None if latency is None else latency["p95"],
        None if latency is None else latency["p99"],
        None if quality is None else quality["mean"],
        _whole(read),
        _whole(written),
        record.cost_usd,
        record.cost_per_request_usd,
        json(window.errors_by_type),
        [text(name) for name in metrics],
        [each["count"] for each in metrics.values()],
        [each[name] for each in metrics.values() for name in VALUES],
        maybe(record.price),
        maybe(record.target),
        maybe(record.model_card),
        json(record.missing),
    )


def _whole(tokens: Mapping[str, float] | None) -> int:
    """The sum of a metric as a whole number; 0 where the window has none of it."""
    if tokens is None:
        return 0
    if not math.isfinite(tokens["sum"]):
        raise Refused(f"{tokens['sum']} is no number of tokens.")
    return round(tokens["sum"])


def anomaly(record: Anomaly) -> Values:
    """The columns of ANOMALIES."""
    return (
        text(record.id),
        text(record.scope),
        record.metric,
        record.window,
        moment(record.start),
        moment(record.end),
        record.revision,
        record.is_anomaly,
        record.severity.value,
        record.confidence,
        record.actual,
        record.expected,
        record.expected_low,
        record.expected_high,
        record.deviation,
        record.detector,
        record.samples,
        json(record.causes),
        text(record.incident),
        text(record.suppressed),
    )


def insight(record: Insight) -> Values:
    """The columns of INSIGHTS."""
    return (
        text(record.id),
        text(record.scope),
        record.kind.value,
        record.metric,
        record.window,
        moment(record.start),
        moment(record.end),
        record.revision,
        record.holds,
        moment(record.at),
        record.direction,
        record.value,
        record.reference,
        record.low,
        record.high,
        record.relative,
        record.p,
        record.confidence,
        text(record.subject),
        json(record.causes),
        record.method,
        record.samples,
        text(record.sentence),
    )


def decision(record: Decision) -> Values:
    """The columns of DECISIONS."""
    chosen = record.chosen
    return (
        text(record.id),
        1,
        text(record.scope),
        moment(record.at),
        text(record.rule),
        record.priority,
        record.action.value,
        text(record.strategy),
        None if chosen is None else text(chosen.provider),
        None if chosen is None else text(chosen.model),
        record.confidence,
        record.propensity,
        record.policy,
        maybe(record.current),
        maybe(chosen),
        json(record.observed),
        json(record.inputs),
        json(record.candidates),
        json(record.violations),
        json(record.reasons),
    )


def deployment(record: Deployment) -> Values:
    """The columns of DEPLOYMENTS."""
    return (
        text(record.id),
        record.sequence,
        text(record.scope),
        record.revision,
        moment(record.at),
        record.phase.value,
        None if record.previous is None else record.previous.value,
        record.step,
        record.steps,
        record.share,
        record.verdict.name.lower(),
        json(record.guardrails),
        text(record.reason),
        text(record.by),
        *(
            None if name is None else text(name)
            for name in (
                record.decision_id,
                record.stable_version,
                record.candidate_version,
                record.stable_model,
                record.candidate_model,
            )
        ),
    )


def config(record: ScopeConfig) -> Values:
    """The columns of CONFIG_VERSIONS."""
    stable, candidate, split = record.stable, record.candidate, record.split
    return (
        text(record.scope),
        record.revision,
        record.epoch,
        moment(record.updated_at),
        None if stable is None else text(stable.version),
        maybe(stable),
        None if candidate is None else text(candidate.version),
        maybe(candidate),
        0 if split is None else split.share,
        maybe(split),
        text(record.reason),
        None if record.decision_id is None else text(record.decision_id),
    )


UNSTORED = (Look, Transition, Alarm, RollbackReport)  # their topic keeps them
MAKERS: Mapping[type, tuple[Table, Callable[[Any], Values]]] = {
    EnrichedWindow: (WINDOWS, aggregate),
    Anomaly: (ANOMALIES, anomaly),
    Insight: (INSIGHTS, insight),
    Decision: (DECISIONS, decision),
    Deployment: (DEPLOYMENTS, deployment),
    ScopeConfig: (CONFIG_VERSIONS, config),
}


def row(record: object) -> tuple[Table, Values]:
    """The table of *record* and its columns there.

    Raises:
        Refused: no table holds such a record, or a value of it fits no column.
    """
    made = MAKERS.get(type(record))
    if made is None:
        raise Refused(f"There is no table for a {type(record).__name__}.")
    table, make = made
    return table, make(record)

"""What people declare: models, prices, targets, rules, limits, strategies, windows and more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from schemas.scope import ALL, covering
from schemas.trigger import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that may be chosen, with what its owner expects of it.

    `quality` (0–100) and `p95_latency_ms` are expectations for scopes that never tried it; their
    margins widen them into the pessimistic bounds that constraints are checked against.
    """

    provider: str
    model: str
    quality: float | None = None
    quality_margin: float = 5.0
    p95_latency_ms: float | None = None
    latency_margin: float = 0.2  # relative
    error_rate: float | None = None
    capabilities: tuple[str, ...] = ()
    context_window: int | None = None
    release_date: str | None = None
    enabled: bool = True
    scopes: tuple[str, ...] = (ALL,)  # where it may be used


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceEntry:
    """A price that overrides the price data, USD per million tokens, from a date on."""

    provider: str
    model: str
    input_per_mtok: float
    output_per_mtok: float
    cached_per_mtok: float | None = None
    effective: str = "1970-01-01"  # ISO date, UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Sla:
    """The service level objective of a scope."""

    scope: str
    p95_latency_ms: float | None = None
    error_rate: float | None = None
    availability: float | None = None


class Metric(StrEnum):
    """What a condition may look at; computed from the scope's pooled windows."""

    REQUESTS = "requests"
    ERROR_RATE = "error_rate"
    TIMEOUT_RATE = "timeout_rate"
    P50_LATENCY_MS = "p50_latency_ms"
    P95_LATENCY_MS = "p95_latency_ms"
    P99_LATENCY_MS = "p99_latency_ms"
    QUALITY = "quality"
    COST_PER_REQUEST_USD = "cost_per_request_usd"
    COST_PER_HOUR_USD = "cost_per_hour_usd"


BETTER: Mapping[str, int] = {
    metric: 1 if metric is Metric.QUALITY else -1
    for metric in Metric
    if metric is not Metric.REQUESTS
}
"""Which way is good: 1 for more, -1 for less; of requests nobody knows."""


class Signal(StrEnum):
    """What the detector looks at beside metrics; of the scope's pooled windows, too."""

    P95_TTFT_MS = "p95_ttft_ms"  # time to the first token
    CACHED_SHARE = "cached_share"  # of the input tokens, those that the provider had seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A leaf, or one of `all_of`, `any_of`, `none_of`.

    A leaf names its metric by what it asks of it:

    metric: `op` and `value` in the newest 1-minute window, and with `held_s` in every one of that
        many seconds, without a gap; with `relative_to: baseline` against `value` times the scope's
        own median of the last hour;
    anomaly: one of at least `severity` was seen within the last `held_s` (default 300) seconds;
    trend: its `direction`, or its slope an hour by `op` and `value`;
    change_point: one within the last `held_s` (default 3600) seconds, in that `direction` (any when
        none is given) and `by` at least that share of the level before;
    comparison: with the baseline `than`, significantly in that `direction` (degrading when none is
        given) and `by` at least that share of the baseline;
    forecast: `op` and `value`, at some time within the next `ahead_s` seconds;
    prediction: `op` and `value`, were `model` ("provider/model") to serve the scope.

    The last five ask what analysis found in windows of that length (`window`, not for
    predictions), with at least that `confidence`. Forecasts and predictions are read by what is
    expected, or by the worse end of their range (`bound: pessimistic`). What analysis has not
    found, found long ago or calls inconclusive cannot be told, which is never a pass.
    """

    metric: Metric | None = None
    op: Literal["<", "<=", ">", ">="] | None = None
    value: float | None = None
    held_s: int = 0
    relative_to: Literal["baseline"] | None = None
    anomaly: str | None = None  # a metric name of the detector
    severity: Literal["low", "medium", "high", "critical"] = "medium"
    trend: Metric | None = None
    change_point: Metric | None = None
    comparison: Metric | None = None
    forecast: Metric | None = None
    prediction: Metric | None = None
    window: Literal["1m", "1h", "24h"] = "1h"
    direction: Literal["improving", "degrading", "rising", "falling", "stable"] | None = None
    confidence: float = 0.0  # 0 to 1
    by: float = 0.0  # relative
    than: Literal["initial", "rolling", "peak", "snapshot", "golden"] = "rolling"
    ahead_s: int = 0
    bound: Literal["expected", "pessimistic"] = "expected"
    model: str | None = None
    all_of: tuple[Condition, ...] = ()
    any_of: tuple[Condition, ...] = ()
    none_of: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When something holds, do something; at most so often."""

    id: str
    name: str
    description: str = ""
    priority: Literal["critical", "high", "medium", "low"] = "medium"
    enabled: bool = True
    scopes: tuple[str, ...] = (ALL,)
    when: Condition = field(default_factory=Condition)
    then: Literal["cheaper_model", "faster_model", "rollback", "failover", "alert"] = "alert"
    strategy: str = "balanced"
    cooldown_s: int = 3600
    max_per_day: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What may never, or should not, be exceeded in a scope; checked in the order of the fields."""

    scope: str = ALL
    max_error_rate: float = 0.05
    max_p95_latency_ms: float = 3000.0
    min_quality: float = 75.0
    min_availability: float = 0.995
    daily_budget_usd: float = 1000.0
    hourly_budget_usd: float = 50.0
    max_cost_per_request_usd: float = 0.50
    max_changes_per_day: int = 5
    min_minutes_between_changes: float = 30.0
    max_returns_per_hour: int = 3
    max_optimizations: int = 10  # this one and the next two: at once, in all scopes together
    max_rollouts: int = 5
    max_returns: int = 3
    approval_above_usd_per_day: float = 100.0
    preferred_providers: tuple[str, ...] = ()
    preferred_models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rung of a ladder: a share of the units, held for a time."""

    share: float  # 0 to 1
    hold_s: int
    shadow: bool = False  # they are answered by the stable config, and the candidate gets copies


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """How a change is rolled out, and what takes it back.

    `kind` says who gets the candidate, and how it ends well:

    immediate: everybody at once, unjudged;
    canary: a growing share of the units, promoted by its last step, of 100 %;
    blue_green: a check, then all units at once while the stable config is kept for its hold;
    rolling: as a canary, by instances of the application instead of units;
    ab: a fixed share, until one is better;
    shadow: copies only; a candidate that passes is verified, and serves nobody.

    A rollout is promoted, and a shadow verified, when every required guardrail passes and the
    candidate keeps the criteria: those of `max_error_rate`, `max_p95_latency_ms` and `min_quality`
    that are given. It is taken back when `max_duration_s` is over before.
    """

    name: str
    steps: tuple[Step, ...]
    kind: Literal["immediate", "canary", "blue_green", "rolling", "ab", "shadow"] = "canary"
    min_improvement: float = 0.10  # relative saving that is worth a change
    min_confidence: float = 0.8
    alpha: float = 0.05  # joint level of all guardrails
    error_margin: float = 0.05  # absolute, of the error rate
    latency_margin: float = 0.20  # relative, of p95
    quality_margin: float = 0.10  # relative, of mean quality
    cost_margin: float = 0.0  # relative; the candidate must not cost more
    tolerance: float = 0.0  # part of each margin that no rollback answers; 0: any harm
    required: tuple[str, ...] = ("errors", "latency", "cost", "quality")  # must pass to promote
    min_samples: int = 100  # of each required metric, compared, before a step may pass
    max_wait_s: int = 7200  # in a step without enough evidence
    when_waiting: Literal["hold", "extend", "rollback", "ask"] = "hold"  # what to do then
    max_extensions: int = 3  # waits after the first, with extend; then it is taken back
    max_duration_s: int | None = (
        None  # of a rollout, judged ten times in it; without a promotion it ends
    )
    max_error_rate: float | None = None  # of the candidate
    max_p95_latency_ms: float | None = None  # of the candidate
    min_quality: float | None = None  # mean of the candidate, 0 to 100
    approval: Literal["never", "above_impact", "always"] = "above_impact"  # before it starts
    approval_expires_s: int = 86_400  # after which what waits for a person is given up
    max_per_day: int | None = None  # rollouts of a scope; None: no limit of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPolicy:
    """Windows beside those of fixed lengths; see `schemas.span` for what they hold.

    Hopping ones have `size_s` and `hop_s`, sessions `gap_s` and `longest_s`.
    """

    id: str
    kind: Literal["hopping", "session"]
    size_s: int | None = None  # a multiple of the hop
    hop_s: int | None = None  # from one window's start to the next one's
    gap_s: int | None = None  # silence after which a session of a scope is over
    longest_s: int | None = None  # a session is cut at each multiple of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that is known to happen again and again: what is unusual then is not told.

    It is on for `lasts_s`, first `at_s` after midnight of 1970-01-01 (UTC, a Thursday), and again
    each `every_s` later.
    """

    id: str
    lasts_s: int
    every_s: int = 86_400
    at_s: int = 0
    scopes: tuple[str, ...] = (ALL,)
    description: str = ""


@dataclass(frozen=True, slots=True)
class Catalog:
    """The catalog as it stood at one offset of its topic; a value, cheap to look things up in."""

    models: Mapping[str, Model] = field(default_factory=dict)  # by "provider/model"
    prices: Mapping[str, tuple[PriceEntry, ...]] = field(default_factory=dict)  # newest last
    slas: Mapping[str, Sla] = field(default_factory=dict)  # by scope
    rules: Mapping[str, Rule] = field(default_factory=dict)  # by id
    constraints: Mapping[str, Constraints] = field(default_factory=dict)  # by scope
    strategies: Mapping[str, Strategy] = field(default_factory=dict)  # by name
    triggers: Mapping[str, Trigger] = field(default_factory=dict)  # by id
    windows: Mapping[str, WindowPolicy] = field(default_factory=dict)  # by id
    events: Mapping[str, Event] = field(default_factory=dict)  # by id
    checksum: str = ""  # of all entries
    offset: int = 0  # of the topic, exclusive

    def constraints_for(self, scope: str) -> Constraints:
        """The constraints of *scope*: its own, else its service's, else those of `*`."""
        for name in covering(scope):
            if name in self.constraints:
                return self.constraints[name]
        return Constraints()

    def sla_for(self, scope: str) -> Sla | None:
        """The objective of *scope*: its own, else its service's, else that of `*`."""
        for name in covering(scope):
            if name in self.slas:
                return self.slas[name]
        return None


Entry = Model | PriceEntry | Sla | Rule | Constraints | Strategy | Trigger | WindowPolicy | Event
KINDS: Mapping[str, type[Entry]] = {
    "model": Model,
    "price": PriceEntry,
    "sla": Sla,
    "rule": Rule,
    "constraints": Constraints,
    "strategy": Strategy,
    "trigger": Trigger,
    "window": WindowPolicy,
    "event": Event,
}

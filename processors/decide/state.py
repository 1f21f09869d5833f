"""What is remembered of a scope between its minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from schemas.catalog import Metric
from schemas.decision import Action

METRICS = tuple(Metric)
HOUR = 60  # minutes that are kept


class Minute(NamedTuple):
    """A closed minute of the whole scope (tuples are stored without names)."""

    start: int  # ms
    readings: tuple[float | None, ...]  # in the order of METRICS
    tokens_input: float
    tokens_output: float
    cached_tokens: float
    longest: float  # most input and output tokens of a request
    model: str  # "provider/model" that answered most of the stable traffic; "" for none
    version: str  # its config version, "" for none

    def reading(self, metric: Metric) -> float | None:
        """The value of a metric, None for no evidence."""
        return self.readings[METRICS.index(metric)]

    @property
    def requests(self) -> float:
        """How many there were."""
        return self.reading(Metric.REQUESTS) or 0.0


class Held(NamedTuple):
    """A comparison that holds without a gap."""

    since: int  # ms, start of the first minute
    baseline: float | None  # the median of the hour before that minute


class Record(NamedTuple):
    """Sums over what a model did in the scope."""

    requests: float = 0.0
    errors: float = 0.0
    timeouts: float = 0.0
    scores: float = 0.0
    quality: float = 0.0  # sum of the scores
    latency: float = 0.0  # sum of p95 × requests

    def plus(self, other: Record) -> Record:
        """Both together."""
        return Record(*(a + b for a, b in zip(self, other, strict=True)))

    def faded(self, by: float) -> Record:
        """The same with less weight."""
        return Record(*(value * by for value in self))


@dataclass(frozen=True, slots=True)
class Seen:
    """A model's record in the scope: closed hours, faded with age, and the open ones."""

    past: Record = field(default_factory=Record)
    at: int = 0  # ms, start of the newest hour in `past`
    open: Mapping[str, Record] = field(default_factory=dict)  # by "version|cohort|start"


class Fired(NamedTuple):
    """When a rule last did something."""

    at: int | None = None  # ms, of its last effect
    day: int = 0  # days since the epoch
    times: int = 0  # effects on that day
    noted_at: int | None = None  # ms, when it was last recorded that nothing can be done
    noted: str = ""  # and what held it back


class Asked(NamedTuple):
    """A decision that the actuator has not answered yet."""

    id: str
    at: int
    action: Action


class Change(NamedTuple):
    """A change of the scope's config, by its decision's (else its rollout's) id."""

    at: int
    id: str


class Spend(NamedTuple):
    """What was spent in one hour or day."""

    start: int  # ms
    micros: int  # millionths of a dollar


class Sighting(NamedTuple):
    """The newest anomaly of a metric and severity."""

    id: str
    end: int  # ms, of its window


class Finding(NamedTuple):
    """An insight by its newest revision; see `schemas.insight.Insight` for the fields."""

    kind: str
    metric: str
    window: str
    subject: str
    revision: int
    holds: bool
    end: int  # ms
    at: int  # ms
    direction: str
    value: float
    reference: float | None
    low: float | None
    high: float | None
    relative: float | None
    p: float | None
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeState:
    """All of a scope (for `*` only what holds all scopes); the value of the changelog.

    There the findings are an entry of their own, so that a minute does not write them again.

    Bounded: an hour of minutes, one entry per comparison, rule, model and anomaly kind, a day of
    changes, of each kind of insight that is asked for the newest.
    """

    scope: str
    hold: str = ""  # "paused" or "stopped" by a command
    newest: int = -1  # ms, end of the newest closed minute
    minutes: tuple[Minute, ...] = ()  # since the stable model changed, at most HOUR
    leading_start: int = -1
    leading: Mapping[str, float] = field(
        default_factory=dict
    )  # "version|provider/model" → requests
    held: Mapping[str, Held] = field(default_factory=dict)  # by comparison
    fired: Mapping[str, Fired] = field(default_factory=dict)  # by rule
    anomalies: Mapping[str, Sighting] = field(default_factory=dict)  # by "metric|severity"
    seen: Mapping[str, Seen] = field(default_factory=dict)  # by "provider/model"
    active: str | None = None  # id of the rollout
    asked: Asked | None = None
    promoted_at: int | None = None
    stable_model: str | None = None  # as the actuator tells it
    rolled_back: tuple[str, ...] = ()  # blamed and taken back since the stable one changed
    changes: tuple[Change, ...] = ()
    changed_at: int | None = None
    hour: Spend | None = None  # the newest one with traffic
    day: Spend | None = None
    findings: Mapping[str, Finding] = field(default_factory=dict)  # by the insight's id


@dataclass(frozen=True, slots=True)
class DecideState:
    """All scopes of a partition."""

    scopes: Mapping[str, ScopeState] = field(default_factory=dict)


ENTRY = ScopeState
APART = "|insights"  # ends the key of a scope's findings; no scope holds a "|"


def entries(before: ScopeState | None, after: ScopeState) -> dict[str, ScopeState]:
    """What the changelog must be told when a scope goes from *before* (None: it is new) on."""
    found: dict[str, ScopeState] = {}
    if before is None or replace(after, findings=before.findings) != before:
        found[after.scope] = replace(after, findings={})
    if after.findings != ({} if before is None else before.findings):
        found[after.scope + APART] = ScopeState(scope=after.scope, findings=after.findings)
    return found


def fresh() -> DecideState:
    """Nothing seen yet."""
    return DecideState()


def restore(entries: Mapping[str, ScopeState]) -> DecideState:
    """The state that wrote these changelog entries."""
    scopes = {key: each for key, each in entries.items() if not key.endswith(APART)}
    for key, each in entries.items():
        if key.endswith(APART):
            scope = scopes.get(each.scope, ScopeState(scope=each.scope))
            scopes[each.scope] = replace(scope, findings=each.findings)
    return DecideState(scopes)

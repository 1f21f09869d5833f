"""A scope to decide for: its windows, a small catalog, and a driver that keeps both in step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.windows import alike
from processors.decide import DecidePolicy, DecideState, fresh, step
from schemas.anomaly import Anomaly, Severity
from schemas.catalog import (
    Catalog,
    Condition,
    Constraints,
    Metric,
    Model,
    PriceEntry,
    Rule,
    Step,
    Strategy,
)
from schemas.command import Command, CommandKind
from schemas.decision import Decision
from schemas.flow import Input, Moment, Outcome
from schemas.insight import Insight, InsightKind
from schemas.rollout import Deployment, Phase, Verdict
from schemas.window import EnrichedWindow, WindowAggregate

SCOPE = "search/answer"
MINUTE = 60_000
NOON = 1_767_225_600_000
MOMENT = Moment(now=0, seed=0, epoch=1, partition=2, partitions=4)
OTHER = replace(MOMENT, partition=3)


def model(name: str, quality: float | None, **fields: Any) -> Model:
    provider, _, own = name.partition("/")
    defaults: dict[str, Any] = {"p95_latency_ms": 1000.0, "error_rate": 0.002}
    return Model(provider=provider, model=own, quality=quality, **{**defaults, **fields})


def price(name: str, per_mtok: float) -> PriceEntry:
    provider, _, own = name.partition("/")
    return PriceEntry(
        provider=provider, model=own, input_per_mtok=per_mtok, output_per_mtok=per_mtok
    )


BIG, MID, SMALL, FAR = "one/big", "one/mid", "one/small", "two/far"
MODELS = {
    BIG: model(BIG, 92.0),
    MID: model(MID, 90.0),
    SMALL: model(SMALL, 85.0),
    FAR: model(FAR, 88.0),
}
PRICES = {BIG: 10.0, MID: 6.0, SMALL: 2.0, FAR: 3.0}
CHEAPER = Rule(
    id="cheaper",
    name="cheaper",
    when=Condition(metric=Metric.COST_PER_REQUEST_USD, op=">", value=0.005),
    then="cheaper_model",
    strategy="balanced",
)
LIMITS = Constraints(
    max_changes_per_day=50,
    approval_above_usd_per_day=1e6,
    daily_budget_usd=1e6,
    hourly_budget_usd=1e6,
)
STRATEGY = Strategy(
    name="balanced", steps=(Step(share=0.05, hold_s=300), Step(share=1.0, hold_s=0))
)


def catalog(
    *rules: Rule,
    models: dict[str, Model] | None = None,
    limits: Constraints | None = None,
    prices: dict[str, float] | None = None,
) -> Catalog:
    return Catalog(
        models=MODELS if models is None else models,
        prices={name: (price(name, per),) for name, per in (prices or PRICES).items()},
        rules={rule.id: rule for rule in rules or (CHEAPER,)},
        constraints={"*": limits or LIMITS},
        strategies={"balanced": STRATEGY},
        checksum="c0ffee",
    )


def policy(*rules: Rule, **fields: Any) -> DecidePolicy:
    known = {name: fields.pop(name) for name in ("models", "limits", "prices") if name in fields}
    return DecidePolicy(catalog=catalog(*rules, **known), prices="", **fields)


def window(
    n: int,
    *,
    name: str = "*/*",
    cohort: str = "*",
    version: str = "*",
    size: str = "1m",
    revision: int = 1,
    closed: bool = True,
    requests: int = 100,
    errors: int = 0,
    timeouts: int = 0,
    latency: float | None = 1000.0,
    quality: float | None = 92.0,
    cost: float | None = 0.01,
    tokens: float = 1000.0,
    scope: str = SCOPE,
) -> EnrichedWindow:
    """A window from minute *n* on; four of five tokens are input."""
    provider, _, own = name.partition("/")
    metrics = {
        "tokens_input": alike(tokens * 0.8, max(requests, 1)),
        "tokens_output": alike(tokens * 0.2, max(requests, 1)),
        "tokens_total": alike(tokens, max(requests, 1)),
    }
    if latency is not None:
        metrics["latency_ms"] = alike(latency, requests)
    if quality is not None:
        metrics["quality"] = alike(quality, requests)
    length = {"1m": MINUTE, "1h": 60 * MINUTE}[size]
    service, _, endpoint = scope.partition("/")
    aggregate = WindowAggregate(
        service=service,
        endpoint=endpoint,
        model=own,
        provider=provider,
        config_version=version,
        cohort=cohort,
        window=size,
        start=NOON + n * MINUTE,
        end=NOON + n * MINUTE + length,
        revision=revision,
        closed=closed,
        watermark=0,
        requests=requests,
        success=requests - errors,
        errors=errors,
        timeouts=timeouts,
        retries=0,
        metrics=metrics,
    )
    return EnrichedWindow(
        window=aggregate,
        cost_usd=None if cost is None else cost * requests,
        cost_per_request_usd=cost,
    )


def minute(n: int, serving: str = BIG, **fields: Any) -> list[EnrichedWindow]:
    """A closed minute: the row of the model that served it, then the whole scope's."""
    return [
        window(n, name=serving, cohort="stable", version="v1", **fields),
        window(n, **fields),
    ]


def minutes(first: int, count: int, **fields: Any) -> list[EnrichedWindow]:
    return [row for n in range(first, first + count) for row in minute(n, **fields)]


def hour(name: str, **fields: Any) -> EnrichedWindow:
    defaults: dict[str, Any] = {"size": "1h", "cohort": "candidate", "version": "v2"}
    return window(-60, name=name, **{**defaults, **fields})


def deployment(
    at: int,
    phase: Phase,
    candidate: str | None = SMALL,
    *,
    stable: str | None = BIG,
    decision: str | None = None,
    sequence: int = 1,
    id_: str = "r1",
    blamed: bool = False,
) -> Deployment:
    return Deployment(
        id=id_,
        scope=SCOPE,
        revision=1,
        sequence=sequence,
        at=NOON + at * MINUTE,
        phase=phase,
        previous=None,
        step=0,
        steps=2,
        share=0,
        verdict=Verdict.INCONCLUSIVE,
        guardrails=(),
        reason="",
        by="optimizer",
        decision_id=decision,
        stable_version=None,
        candidate_version=None,
        stable_model=stable,
        candidate_model=candidate,
        blamed=blamed,
    )


def anomaly(n: int, severity: Severity = Severity.HIGH, *, real: bool = True) -> Anomaly:
    return Anomaly(
        id=f"{SCOPE}|quality|{n}",
        scope=SCOPE,
        metric="quality",
        window="1m",
        start=NOON + n * MINUTE,
        end=NOON + (n + 1) * MINUTE,
        revision=1,
        is_anomaly=real,
        severity=severity,
        confidence=0.9,
        actual=1.0,
        expected=2.0,
        expected_low=1.5,
        expected_high=2.5,
        deviation=-9.0,
        detector="robust_z",
        samples=60,
    )


def insight(kind: str, metric: str = "p95_latency_ms", n: int = 0, **fields: Any) -> Insight:
    """A finding that ends with minute *n*; degrading, and as sure as can be."""
    window = fields.get("window", "1h")
    defaults: dict[str, Any] = {
        "id": "|".join(map(str, (SCOPE, kind, metric, window, *fields.pop("tells", ())))),
        "scope": SCOPE,
        "window": window,
        "start": 0,
        "end": NOON + n * MINUTE,
        "revision": 1,
        "holds": True,
        "at": NOON + n * MINUTE,
        "direction": "degrading",
        "value": 100.0,
        "reference": 1000.0,
        "low": 50.0,
        "high": 150.0,
        "relative": 0.1,
        "p": 0.001,
        "confidence": 0.95,
        "subject": "",
        "causes": (),
        "method": "test",
        "samples": 60,
        "sentence": "",
    }
    return Insight(kind=InsightKind(kind), metric=metric, **{**defaults, **fields})


def command(kind: CommandKind, scope: str = SCOPE, id_: str = "c1") -> Command:
    return Command(id=id_, kind=kind, scope=scope, at=NOON, by="ada")


@dataclass
class World:
    """Feeds records to the step, one batch a call, and keeps what came out."""

    policy: DecidePolicy
    state: DecideState = field(default_factory=fresh)
    entries: dict[str, Any] = field(default_factory=dict)
    last: Outcome[DecideState] | None = None

    def feed(self, *records: object, moment: Moment = MOMENT) -> list[Decision]:
        inputs = [Input("", n, record) for n, record in enumerate(records)]
        self.last = step(self.policy, self.state, inputs, moment)
        self.state = self.last.state
        self.entries |= self.last.changes
        return [emit.value for emit in self.last.emits]


def actions(decisions: Sequence[Decision]) -> list[str]:
    return [f"{decision.rule}:{decision.action}" for decision in decisions]

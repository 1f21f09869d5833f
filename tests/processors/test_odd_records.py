"""Records that somebody else wrote: what the reader does not refuse, no step may die of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.actuate import policy as actuating
from processors.actuate import step as actuate
from processors.analyze.stage import AnalyzePolicy
from processors.analyze.stage import fresh as analyze_fresh
from processors.analyze.stage import step as analyze
from processors.decide import DecidePolicy
from processors.decide import fresh as decide_fresh
from processors.decide import step as decide
from processors.detect import DetectPolicy
from processors.detect import fresh as detect_fresh
from processors.detect import step as detect
from processors.enrich import EnrichPolicy
from processors.enrich import step as enrich
from processors.sketch import buckets
from schemas.anomaly import Anomaly, Severity
from schemas.catalog import Condition, Metric, Rule
from schemas.codec import Codec, pack
from schemas.command import Command, CommandKind
from schemas.config import LlmConfig
from schemas.consistent import inspect
from schemas.decision import Action, Decision
from schemas.declare import declare, gather
from schemas.errors import Undecodable
from schemas.flow import Input, Moment, Outcome
from schemas.insight import Insight, InsightKind, LikelyCause
from schemas.registry import LocalRegistry
from schemas.rollout import Deployment, Phase, Verdict
from schemas.topics import (
    AGGREGATES,
    ANOMALIES,
    COMMANDS,
    DECISIONS,
    DEPLOYMENTS,
    ENRICHED,
    INSIGHTS,
    TOPICS,
    Topic,
)
from schemas.window import (
    MINUTE,
    SIZES,
    EnrichedWindow,
    Histogram,
    MetricSummary,
    Unpriced,
    WindowAggregate,
)

START = 29_000_000 * MINUTE
SCOPE = "search/answer"
CODEC = Codec(LocalRegistry())
CATALOG = gather(
    declare(yaml.safe_load((Path(__file__).parents[2] / "demo" / "catalog.yaml").read_text())), 0
)
MOMENT = Moment(now=START, seed=1, epoch=1, partition=0, partitions=1)
OLD = LlmConfig(version="v1", provider="openai", model="gpt-4", temperature=0.5)
NEW = LlmConfig(version="", provider="openai", model="gpt-4o-mini")
TEXTS = ("", "*", "a/b", "a|b", "1m", "7d", "quality", "openai", "é" * 700, "\ud7ff", "candidate")
NUMBERS = (-1, 0, 1, 2, 59_999, START, 1 << 53, (1 << 63) - 1, -(1 << 63))
FLOATS = (-1.0, 0.0, 1e-300, 0.5, 1e300, math.inf, -math.inf, math.nan)


def metric(value: float, unit: int) -> MetricSummary:
    bucket = int(buckets(np.array([round(value * unit)]))[0])
    return MetricSummary(
        count=200, sum=200 * value, mean=value, min=value, max=value, stddev=0.0, p50=value,
        p90=value, p95=value, p99=value, histogram=Histogram((bucket,), (200,)),
    )  # fmt: skip


def window(name: str = "1m", minute: int = 0, *, pooled: bool = True) -> WindowAggregate:
    key = ("*",) * 4 if pooled else ("gpt-4", "openai", "v1", "stable")
    start = (START + minute * MINUTE) // SIZES[name] * SIZES[name]
    return WindowAggregate(
        service="search", endpoint="answer", model=key[0], provider=key[1],
        config_version=key[2], cohort=key[3], window=name, start=start, end=start + SIZES[name],
        revision=1, closed=True, watermark=start + SIZES[name], requests=200, success=190,
        errors=10, timeouts=3, retries=1, errors_by_type={"timeout": 3}, error_units=(5, 17),
        metrics={
            "latency_ms": metric(900.0, 1_000), "tokens_input": metric(1_000.0, 1),
            "tokens_output": metric(100.0, 1), "tokens_total": metric(1_100.0, 1),
            "cost_usd": metric(0.05, 10**9), "quality": metric(90.0, 1_000),
        },
        unpriced=(Unpriced(model="gpt-4", provider="openai", requests=2, tokens_input=10,
                           tokens_output=10, cached_tokens=0),),
    )  # fmt: skip


def enriched(name: str = "1m", minute: int = 0, *, pooled: bool = True) -> EnrichedWindow:
    row = window(name, minute, pooled=pooled)
    return EnrichedWindow(window=row, cost_usd=10.0, cost_per_request_usd=0.05)


ANOMALY = Anomaly(
    id="a", scope=SCOPE, metric="quality", window="1m", start=START, end=START + MINUTE,
    revision=1, is_anomaly=True, severity=Severity.HIGH, confidence=0.9, actual=1.0, expected=2.0,
    expected_low=1.5, expected_high=2.5, deviation=-4.0, detector="robust", samples=30,
)  # fmt: skip
FOUND = [
    Insight(
        id=f"i-{kind}", scope=SCOPE, kind=kind, metric="quality", window="1h", start=START,
        end=START + MINUTE, revision=1, holds=True, at=START + 2 * MINUTE, direction="degrading",
        value=70.0, reference=90.0, low=60.0, high=80.0, relative=-0.2, p=0.001, confidence=0.9,
        subject="openai/gpt-4o-mini" if kind is InsightKind.PREDICTION else "rolling 1",
        causes=(LikelyCause(kind="rollout", id="r", at=START, what="it", share=0.5),),
        method="m", samples=60, sentence="it fell",
    )
    for kind in InsightKind
]  # fmt: skip
DEPLOYMENT = Deployment(
    id="r", scope=SCOPE, revision=2, sequence=1, at=START, phase=Phase.PROMOTED, previous=None,
    step=1, steps=1, share=10_000, verdict=Verdict.PASS, guardrails=(), reason="", by="ada",
    decision_id=None, stable_version="v1", candidate_version="v2", stable_model="openai/gpt-4",
    candidate_model="openai/gpt-4o-mini",
)  # fmt: skip
DECISION = Decision(
    id="d", scope=SCOPE, at=START, rule="r", priority="high", action=Action.DEPLOY,
    strategy="balanced", current=OLD, chosen=NEW, confidence=0.9, propensity=1.0, policy="c",
)  # fmt: skip
COMMAND = Command(
    id="c", kind=CommandKind.SET, scope=SCOPE, at=START, by="ada", config=NEW, version="v1"
)
BASELINE = Command(id="b", kind=CommandKind.BASELINE, scope=SCOPE, at=START, by="ada")
WINDOWS = [
    enriched(name, minute, pooled=pooled)
    for minute in range(3)
    for name in ("1m", "1h")
    for pooled in (False, True)
]


def leaves(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything in *value* that is neither a mapping nor a list."""
    if isinstance(value, dict):
        return [p for key, inner in value.items() for p in leaves(inner, (*at, key))]
    if isinstance(value, list | tuple):
        return [p for i, inner in enumerate(value) for p in leaves(inner, (*at, i))]
    return [at]


@st.composite
def odd(draw: st.DrawFn, records: Sequence[Any]) -> Any:
    """One of *records*, with a few of its values replaced by strange ones of their type."""
    record = draw(st.sampled_from(records))
    plain = msgspec.to_builtins(record)
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(leaves(plain)))
        where = plain
        for key in path[:-1]:
            where[key] = where[key] = (
                list(where[key]) if isinstance(where[key], tuple) else where[key]
            )
            where = where[key]
        where[path[-1]] = draw(st.sampled_from((*TEXTS, *NUMBERS, *FLOATS, None, True)))
    try:
        return msgspec.convert(plain, type(record))
    except msgspec.ValidationError:
        return record


def enrich_all(inputs: Sequence[Input]) -> Outcome[Any]:
    return enrich(EnrichPolicy(CATALOG), None, inputs, MOMENT)


def detect_all(inputs: Sequence[Input]) -> Outcome[Any]:
    return detect(DetectPolicy(), detect_fresh(), inputs, MOMENT)


def analyze_all(inputs: Sequence[Input]) -> Outcome[Any]:
    return analyze(AnalyzePolicy(), analyze_fresh(), inputs, MOMENT)


def decide_all(inputs: Sequence[Input]) -> Outcome[Any]:
    return decide(DecidePolicy(catalog=CATALOG), decide_fresh(), inputs, MOMENT)


def ask_all(inputs: Sequence[Input]) -> Outcome[Any]:
    """decide, with a rule for whatever analysis may find."""
    leaves = (
        Condition(trend=Metric.QUALITY, op="<", value=100.0),
        Condition(change_point=Metric.QUALITY, by=0.05),
        Condition(comparison=Metric.QUALITY, by=0.05),
        Condition(forecast=Metric.QUALITY, op="<", value=80.0, ahead_s=3600),
        Condition(
            prediction=Metric.QUALITY, op="<", value=80.0, model="openai/gpt-4o-mini",
            bound="pessimistic",
        ),
    )  # fmt: skip
    rules = {
        str(n): Rule(id=str(n), name="x", when=leaf, cooldown_s=0, max_per_day=100)
        for n, leaf in enumerate(leaves)
    }
    catalog = replace(CATALOG, rules=CATALOG.rules | rules)
    return decide(DecidePolicy(catalog=catalog), decide_fresh(), inputs, MOMENT)


def actuate_all(inputs: Sequence[Input]) -> Outcome[Any]:
    policy = actuating.ActuatePolicy(catalog=CATALOG)
    return actuate.step(policy, actuate.fresh(), inputs, MOMENT)


@pytest.mark.parametrize(
    ("stage", "topic", "records"),
    [
        (enrich_all, AGGREGATES, [window(), window("7d"), window(pooled=False)]),
        (detect_all, ENRICHED, WINDOWS),
        (analyze_all, ENRICHED, WINDOWS),
        (analyze_all, DEPLOYMENTS, [DEPLOYMENT]),
        (analyze_all, COMMANDS, [COMMAND, BASELINE]),
        (decide_all, ENRICHED, WINDOWS),
        (decide_all, ANOMALIES, [ANOMALY]),
        (ask_all, INSIGHTS, FOUND),
        (decide_all, DEPLOYMENTS, [DEPLOYMENT]),
        (decide_all, COMMANDS, [COMMAND]),
        (actuate_all, ENRICHED, WINDOWS),
        (actuate_all, DECISIONS, [DECISION]),
        (actuate_all, COMMANDS, [COMMAND]),
    ],
)
@given(data=st.data())
@settings(max_examples=25)
def test_what_is_not_refused_no_step_dies_of(
    stage: Callable[[Sequence[Input]], Outcome[Any]],
    topic: Topic,
    records: Sequence[Any],
    data: st.DataObject,
) -> None:
    found = [data.draw(odd(records)) for _ in range(3)]
    kept = []
    for value in found:
        try:
            read = CODEC.decode(topic, CODEC.encode(topic, value))
            inspect(read)
        except (Undecodable, ValueError, OverflowError):
            continue
        kept.append((topic, read))
    served = [(ENRICHED, each) for each in WINDOWS] if topic is not AGGREGATES else []
    mixed = [*served[:4], *kept, *served[4:], *([(DECISIONS, DECISION)] if served else []), *kept]
    outcome = stage([Input(t.name, i, value, SCOPE) for i, (t, value) in enumerate(mixed)])

    for emit in outcome.emits:
        if emit.value is not None:
            assert CODEC.encode(TOPICS[emit.topic], emit.value)
    for change in outcome.changes.values():
        assert change is None or pack(change)


@pytest.mark.parametrize(
    "record",
    [*WINDOWS, window("7d"), ANOMALY, *FOUND, DEPLOYMENT, DECISION, COMMAND, BASELINE],
    ids=str,
)
def test_what_our_own_steps_write_is_taken(record: Any) -> None:
    inspect(record)

    assert record

"""A scope that is looked at: its windows, its rollouts, and a driver."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bench.windows import alike
from processors.analyze.stage import ENTRY, AnalyzePolicy, AnalyzeState, fresh, restore, step
from schemas.codec import pack, unpack
from schemas.flow import Input, Moment
from schemas.insight import Insight
from schemas.rollout import Deployment, Phase, Verdict
from schemas.topics import DEPLOYMENTS, ENRICHED
from schemas.window import SIZES, EnrichedWindow, Price, WindowAggregate

SCOPE = "mailer/draft"  # whose turn it is in the last hour of a day, where one in 24 is looked at
BEGIN = 1_767_225_600_000  # a midnight
MOMENT = Moment(now=0, seed=0, epoch=1, partition=0, partitions=1)
POLICY = AnalyzePolicy()
PRICES = {
    "big": Price(input_per_mtok=10.0, output_per_mtok=30.0, cached_per_mtok=None, source=""),
    "small": Price(input_per_mtok=1.0, output_per_mtok=3.0, cached_per_mtok=0.5, source=""),
}
QUALITY = {"big": 92.0, "small": 84.0}
COST = {"big": 0.016, "small": 0.0016}


def window(
    n: int,
    *,
    name: str = "1m",
    scope: str = SCOPE,
    latency: float | None = 100.0,
    errors: int = 1,
    requests: int = 100,
    cost: float | None = 0.01,
    quality: float | None = 90.0,
    scores: int = 10,
    **changes: Any,
) -> EnrichedWindow:
    """The n-th closed, pooled window after BEGIN."""
    service, _, endpoint = scope.partition("/")
    start, length = BEGIN + n * SIZES[name], SIZES[name]
    metrics = {}
    if latency is not None:
        metrics["latency_ms"] = alike(latency, requests)
    if quality is not None:
        metrics["quality"] = alike(quality, scores)
    fields: dict[str, Any] = {
        "model": "*", "provider": "*", "config_version": "*", "cohort": "*", "revision": 1,
        "closed": True, "watermark": start + length, **changes,
    }  # fmt: skip
    return EnrichedWindow(
        window=WindowAggregate(
            service=service, endpoint=endpoint, window=name, start=start, end=start + length,
            requests=requests, success=requests - errors, errors=errors, timeouts=0, retries=0,
            metrics=metrics, **fields,
        ),
        cost_usd=None if cost is None else cost * requests,
        cost_per_request_usd=cost,
    )  # fmt: skip


def key(
    n: int, model: str, *, scope: str = SCOPE, requests: int = 1_000, **changes: Any
) -> EnrichedWindow:
    """A row of one model in the n-th hour."""
    fields: dict[str, Any] = {
        "name": "1h", "scope": scope, "requests": requests, "errors": requests // 100,
        "quality": QUALITY[model], "scores": 50, "cost": COST[model], "model": model,
        "provider": "openai", "config_version": model, "cohort": "stable", **changes,
    }  # fmt: skip
    row = window(n, **fields)
    metrics = dict(row.window.metrics)
    if "quality" in metrics:
        metrics["quality"] = replace(metrics["quality"], stddev=5.0)
    tokens = {"tokens_input": 1_000.0, "tokens_output": 200.0, "tokens_total": 1_200.0}
    for name, each in tokens.items():
        metrics[name] = replace(alike(each, requests), stddev=100.0)
    return replace(row, price=PRICES[model], window=replace(row.window, metrics=metrics))


def noisy(seed: int, count: int) -> list[dict[str, Any]]:
    """What *count* windows say while nothing happens: independent noise about a level."""
    rng = np.random.default_rng(seed)
    return [
        {
            "latency": float(100 * rng.lognormal(0, 0.05)),
            "errors": int(rng.binomial(200, 0.05)),
            "requests": int(rng.poisson(1_000)),
            "cost": float(0.01 * rng.lognormal(0, 0.05)),
            "quality": float(90 + rng.normal(0, 1)),
        }
        for _ in range(count)
    ]


def calm(
    count: int, seed: int = 0, first: int = 0, name: str = "1m", scope: str = SCOPE
) -> list[EnrichedWindow]:
    return [
        window(first + n, name=name, scope=scope, **said)
        for n, said in enumerate(noisy(seed, count))
    ]


def shifted(
    count: int, at: int, factor: float, seed: int = 0, name: str = "1m", until: int | None = None
) -> list[EnrichedWindow]:
    """Calm, but for a latency that is *factor* times as high from *at* on."""
    said = noisy(seed, count)
    for each in said[at:until]:
        each["latency"] *= factor
    return [window(n, name=name, **each) for n, each in enumerate(said)]


def deployment(minute: float, sequence: int, phase: Phase, **changes: Any) -> Deployment:
    """A step of a rollout, so many minutes after BEGIN."""
    fields: dict[str, Any] = {
        "id": "r-1", "scope": SCOPE, "revision": 2, "sequence": sequence, "previous": None,
        "step": 0, "steps": 4, "share": 2_500, "verdict": Verdict.PASS, "guardrails": (),
        "reason": "", "by": "optimizer", "decision_id": None, "stable_version": "v1",
        "candidate_version": "v2", "stable_model": "openai/gpt-4o",
        "candidate_model": "openai/gpt-4o-mini", **changes,
    }  # fmt: skip
    return Deployment(at=BEGIN + math.floor(minute * 60_000), phase=phase, **fields)


@dataclass
class World:
    """A task and its changelog."""

    policy: AnalyzePolicy = POLICY
    moment: Moment = MOMENT
    state: AnalyzeState = field(default_factory=fresh)
    entries: dict[str, bytes] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    def feed(self, records: Iterable[Any]) -> list[Insight]:
        """One batch: deployments first, as the topics' names order them."""
        inputs: list[Input] = []
        for offset, value in enumerate(records):
            topic = DEPLOYMENTS if isinstance(value, Deployment) else ENRICHED
            inputs.append(Input(topic.name, offset, value))
        inputs.sort(key=lambda each: each.topic)
        outcome = step(self.policy, self.state, inputs, self.moment)
        self.state, self.counts = outcome.state, outcome.counts
        self.entries |= {key: pack(entry) for key, entry in outcome.changes.items()}
        return [emit.value for emit in outcome.emits]

    def each(self, records: Sequence[Any]) -> list[Insight]:
        """One batch for each record."""
        return [insight for record in records for insight in self.feed([record])]

    def restart(self) -> None:
        """Take over from the changelog."""
        self.state = restore({key: unpack(ENTRY, each) for key, each in self.entries.items()})


def of(insights: Iterable[Insight], kind: str, metric: str = "p95_latency_ms") -> list[Insight]:
    return [each for each in insights if (each.kind.value, each.metric) == (kind, metric)]

"""A scope that the detector watches, minute by minute."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from bench.windows import alike
from processors.detect import DetectPolicy, DetectState, fresh, step
from processors.detect.layout import opened
from schemas.anomaly import Anomaly
from schemas.flow import Input, Moment
from schemas.rollout import Deployment
from schemas.topics import DEPLOYMENTS, ENRICHED
from schemas.window import EnrichedWindow, Histogram, WindowAggregate

Labels = tuple[str, str, str, str]  # model, provider, version, cohort
MOMENT = Moment(now=0, seed=0, epoch=1, partition=2, partitions=4)
POLICY = DetectPolicy()


def minute(
    n: int,
    *,
    latency: float | None = 100.0,
    median: float = 50.0,
    errors: int = 1,
    requests: int = 100,
    cost: float | None = 0.01,
    quality: float | None = 90.0,
    scores: int = 10,
    first: float | None = None,
    cached: float | None = None,
    revision: int = 1,
) -> EnrichedWindow:
    """A minute of a scope: 95th percentiles of the latency and of the time to the *first* token."""
    metrics = {}
    if latency is not None:
        metrics["latency_ms"] = replace(alike(latency, requests), p50=median)
    if quality is not None:
        metrics["quality"] = alike(quality, scores)
    if first is not None:
        metrics["ttft_ms"] = alike(first, requests)
    if cached is not None:
        metrics["cached_tokens"] = alike(1_000.0 * cached, requests)
        metrics["tokens_input"] = alike(1_000.0, requests)
    window = WindowAggregate(
        service="search",
        endpoint="answer",
        model="*",
        provider="*",
        config_version="*",
        cohort="*",
        window="1m",
        start=n * 60_000,
        end=(n + 1) * 60_000,
        revision=revision,
        closed=True,
        watermark=(n + 1) * 60_000,
        requests=requests,
        success=requests - errors,
        errors=errors,
        timeouts=0,
        retries=0,
        metrics=metrics,
    )
    return EnrichedWindow(
        window=window,
        cost_usd=None if cost is None else cost * requests,
        cost_per_request_usd=cost,
    )


def calm(count: int, seed: int = 0, first: int = 0) -> list[EnrichedWindow]:
    rng = np.random.default_rng(seed)
    return [
        minute(
            first + n,
            latency=float(100 * rng.lognormal(0, 0.05)),
            errors=int(rng.binomial(100, 0.01)),
            cost=float(0.01 * rng.lognormal(0, 0.05)),
            quality=float(90 + rng.normal(0, 1)),
        )
        for n in range(count)
    ]


def inputs_of(rows: Iterable[EnrichedWindow | Deployment]) -> list[Input]:
    """*rows* as they come, in this order."""
    return [
        Input((DEPLOYMENTS if isinstance(row, Deployment) else ENRICHED).name, n, row)
        for n, row in enumerate(rows)
    ]


def run(
    rows: Sequence[EnrichedWindow | Deployment],
    policy: DetectPolicy = POLICY,
    state: DetectState | None = None,
) -> tuple[DetectState, list[Anomaly]]:
    """What is known after *rows*, and what was said."""
    inputs = inputs_of(rows)
    outcome = step(policy, fresh() if state is None else state, inputs, MOMENT)
    return outcome.state, [emit.value for emit in outcome.emits]


def series(state: DetectState, metric: str) -> np.void:
    """What is remembered of a metric."""
    detector = state.scopes["search/answer"]
    rows: np.void = opened([detector.packed])[detector.metrics.index(metric)]
    return rows


def even(count: int, first: int = 0, seed: int = 0) -> list[EnrichedWindow]:
    """Minutes whose quality never strays far: whatever does is new."""
    rng = np.random.default_rng(seed)
    return [
        minute(first + n, quality=float(90 + rng.uniform(-2, 2)), scores=100) for n in range(count)
    ]


def key(
    n: int,
    labels: Labels,
    *,
    requests: int = 100,
    errors: int = 0,
    slow: int = 0,
    cost: float | None = 1.0,
    quality: float = 90.0,
) -> EnrichedWindow:
    """A minute of one key: *slow* of its requests take four seconds, the others 100 ms."""
    whole = minute(n, requests=requests, errors=errors, quality=quality, scores=requests)
    model, provider, version, cohort = labels
    # Buckets of 100 ms and of 4 s in µs.
    latency = replace(
        whole.window.metrics["latency_ms"],
        histogram=Histogram((582, 768), (requests - slow, slow)),
    )
    window = replace(
        whole.window,
        model=model,
        provider=provider,
        config_version=version,
        cohort=cohort,
        metrics={**whole.window.metrics, "latency_ms": latency},
    )
    return EnrichedWindow(window=window, cost_usd=cost, cost_per_request_usd=None)

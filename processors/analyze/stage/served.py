"""What each model did in a scope, hour by hour, as levels with their errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from math import fsum, isfinite, sqrt

from processors.analyze.stage.history import LARGEST
from processors.analyze.stage.state import Models, Part, Served
from processors.predict.history import Level
from schemas.window import EnrichedWindow, MetricSummary

TAIL = 0.09  # of the values lie between the 90th and the 99th percentile
REMEMBERED = 16  # models of a scope


def gathered(models: Models, row: EnrichedWindow) -> Models:
    """A key row of a closed hour joins the others of its hour; of an hour that is over, nothing."""
    if row.window.start < models.hour:
        return models
    same = models.parts if row.window.start == models.hour else ()
    part = _part(row)
    others = [each for each in same if each[:4] != part[:4]]
    return replace(models, hour=row.window.start, parts=tuple(sorted([*others, part])))


def closed(models: Models, start: int, end: int) -> tuple[Models, tuple[Served, ...]]:
    """The hour from *start* is over: what each model did in it, those of most requests first."""
    parts = models.parts if models.hour == start else ()
    found = [_together(start, tuple(same)) for _, same in groupby(parts, key=lambda each: each[:2])]
    found.sort(key=lambda each: (-each.requests, each.provider, each.model))
    names = {(each.provider, each.model) for each in found}
    kept = [each for each in models.served if (each.provider, each.model) not in names]
    served = sorted([*kept, *found], key=lambda each: (-each.at, each.provider, each.model))
    hour = max(models.hour, end)
    return replace(models, hour=hour, parts=(), served=tuple(served[:REMEMBERED])), tuple(found)


def levels(served: Served) -> Mapping[str, Level]:
    """The metrics that a model has a level of, by name."""
    return {name: Level(value, error) for name, value, error in served.levels}


def _part(row: EnrichedWindow) -> Part:
    window, price = row.window, row.price
    latency, quality = window.metrics.get("latency_ms"), window.metrics.get("quality")
    total = window.metrics.get("tokens_total")
    requests = max(window.requests, 1)
    return Part(
        provider=window.provider,
        model=window.model,
        version=window.config_version,
        cohort=window.cohort,
        requests=window.requests,
        errors=window.errors,
        p95=0.0 if latency is None else latency.p95,
        tail=0.0 if latency is None else max(latency.p99 - latency.p90, 0.0),
        cost=row.cost_per_request_usd,
        uneven=1.0 if total is None or not total.mean else total.stddev / total.mean,
        scores=0 if quality is None else quality.count,
        quality=0.0 if quality is None else quality.mean,
        spread=0.0 if quality is None else quality.stddev,
        tokens=tuple(_each(window.metrics, name, requests) for name in TOKENS),
        price=None
        if price is None
        else (price.input_per_mtok, price.output_per_mtok, price.cached_per_mtok),
    )


TOKENS = ("tokens_input", "tokens_output", "cached_tokens")


def _each(metrics: Mapping[str, MetricSummary], name: str, requests: int) -> float:
    return metrics[name].sum / requests if name in metrics else 0.0


def _together(start: int, parts: Sequence[Part]) -> Served:
    """One model, whatever its version and cohort: means by requests, errors of these means.

    The 95th percentile of n values is off by √(0.95 · 0.05 / n) by the density there, for which
    the 9 % between the 90th and the 99th stand.
    """
    requests = sum(each.requests for each in parts)
    scores = sum(each.scores for each in parts)
    found: list[tuple[str, float, float]] = []
    if requests:
        weights = [each.requests / requests for each in parts]
        rate = sum(each.errors for each in parts) / requests
        tried = (rate * requests + 1.0) / (requests + 2.0)  # no errors of few are not none
        found.append(("error_rate", rate, sqrt(tried * (1.0 - tried) / requests)))
        p95, tail = (
            _mean(weights, (each.p95 for each in parts)),
            _mean(weights, (each.tail for each in parts)),
        )
        if p95:
            error = sqrt(0.95 * 0.05 / requests) * tail / TAIL
            found.append(("p95_latency_ms", p95, error))
        costs = [each.cost for each in parts if each.cost is not None]
        if len(costs) == len(parts):
            cost = _mean(weights, costs)
            uneven = _mean(weights, (each.uneven for each in parts))
            found.append(("cost_per_request_usd", cost, cost * uneven / sqrt(requests)))
    if scores > 1:
        shares = [each.scores / scores for each in parts]
        quality = _mean(shares, (each.quality for each in parts))
        spread = sqrt(_mean(shares, (each.spread**2 for each in parts)))
        found.append(("quality", quality, spread / sqrt(scores)))
    last = parts[-1]
    weights = [each.requests / max(requests, 1) for each in parts]
    tokens = tuple(_mean(weights, (each.tokens[i] for each in parts)) for i in range(len(TOKENS)))
    kept = [each for each in found if abs(each[1]) <= LARGEST and isfinite(each[2])]
    return Served(
        last.provider, last.model, start, requests, tuple(sorted(kept)), tokens, last.price
    )


def _mean(weights: Iterable[float], values: Iterable[float]) -> float:
    return fsum(weight * value for weight, value in zip(weights, values, strict=True))

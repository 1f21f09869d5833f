"""Healthy traffic, as the detector is given it: what the simulator does by day and by night."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.windows import window
from processors.sketch import ESTIMATES, buckets, rank
from schemas.window import MINUTE, EnrichedWindow, MetricSummary
from simulator.demand import Demand, demand
from simulator.fleet import Endpoint, Fleet
from simulator.requests import answer
from simulator.serve import OK, Answers

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DAY = 1_440  # minutes
LATENCIES = tuple(f"{which}_ms" for which in ("p50", "p90", "p95", "p99")) + tuple(
    f"ttft_{which}_ms" for which in ("p90", "p95", "p99")
)
SWING = 0.7  # by how much there is more asked at noon than on average
MODELS = (
    "openai/gpt-4",
    "openai/gpt-4o-mini",
    "openai/o1",
    "deepseek/deepseek-chat",
    "mistral/open-mixtral-8x7b",
)
HOURLY = (300, 1_000, 3_000, 8_000, 20_000)  # requests


@dataclass(frozen=True, slots=True)
class Minutes:
    """m minutes of s scopes, each array [s, m]; NaN where there was nothing."""

    requests: Floats
    errors: Floats
    failing: Floats  # users with errors
    p50_ms: Floats
    p90_ms: Floats
    p95_ms: Floats
    p99_ms: Floats
    cost_usd: Floats  # of a request, mean
    cost_sd: Floats
    quality: Floats
    quality_sd: Floats
    scores: Floats
    ttft_p90_ms: Floats  # to the first token, of those that were answered
    ttft_p95_ms: Floats
    ttft_p99_ms: Floats
    answered: Floats
    asked: Floats  # tokens of the input, mean
    cached: Floats  # of them known to the provider, mean
    cached_sd: Floats

    def part(self, scopes: slice, minutes: slice) -> Minutes:
        """Some of it."""
        return Minutes(*(getattr(self, name)[scopes, minutes] for name in self.__slots__))


def fleet(seed: int) -> Fleet:
    """An endpoint of each model at each rate."""
    return Fleet(
        endpoints=tuple(
            Endpoint(
                service=model.partition("/")[2], endpoint=f"{rate}", rate=rate / 60, default=model
            )
            for model in MODELS
            for rate in HOURLY
        ),
        seed=seed,
        start=1_700_006_400_000,  # midnight
    )


def busy(minute: int) -> float:
    """How much is asked at this time of the day, 1 on average."""
    return 1.0 + SWING * float(np.sin(2 * np.pi * (minute / DAY - 0.25)))


def measure(fleet: Fleet, index: int, minutes: range) -> Minutes:
    """What an endpoint does in some minutes, with more asked by day than by night."""
    endpoint, found = (
        fleet.endpoints[index],
        np.full((len(Minutes.__slots__), 1, len(minutes)), np.nan),
    )
    for at, minute in enumerate(minutes):
        own = replace(endpoint, rate=endpoint.rate * busy(minute))
        ends = (*fleet.endpoints[:index], own, *fleet.endpoints[index + 1 :])
        asked = demand(replace(fleet, endpoints=ends), index, minute)
        found[:, 0, at] = _summed(asked, answer(asked, None))
    return Minutes(*found)


def _summed(asked: Demand, answers: Answers) -> list[float]:
    """A minute, in the order of the fields of `Minutes`."""
    wrong, n = answers.outcome != OK, len(answers.outcome)
    scores = answers.quality[~np.isnan(answers.quality)]
    sums = [float(n), float(wrong.sum()), float(np.unique(asked.unit[wrong]).size)]
    if not n:
        return [*sums, *[float("nan")] * 8, 0.0, *[float("nan")] * 3, 0.0, *[float("nan")] * 3]
    cost, well = answers.cost_nanousd / 1e9, ~wrong
    cached = asked.cached[well]
    return [
        *sums,
        *_quantiles(answers.latency_us, (0.5, 0.9, 0.95, 0.99)),
        *(float(cost.mean()), float(cost.std())),
        *((float(scores.mean()), float(scores.std())) if scores.size else (float("nan"),) * 2),
        float(scores.size),
        *_quantiles(answers.ttft_us[well], (0.9, 0.95, 0.99)),
        float(well.sum()),
        float(asked.tokens_input.mean()),
        *((float(cached.mean()), float(cached.std())) if cached.size else (float("nan"),) * 2),
    ]


def _quantiles(microseconds: Ints, which: Sequence[float]) -> list[float]:
    """In ms, as the sketch tells them; NaN of nothing."""
    n = len(microseconds)
    if not n:
        return [float("nan")] * len(which)
    exact = np.sort(microseconds)[[int(rank(np.array(n), q)) for q in which]]
    found: list[float] = (ESTIMATES[buckets(exact) + 1] / 1e3).tolist()
    return found


def together(parts: Sequence[Minutes]) -> Minutes:
    """The scopes of all *parts*, which have the same minutes."""
    return Minutes(*(np.concatenate([getattr(p, n) for p in parts]) for n in Minutes.__slots__))


def daily(minutes: Minutes) -> Minutes:
    """The same with a day of its own: slower at noon, and a job at night that slows all down.

    Latency is up to 35 % higher by day; from 2:10 to 2:50 it is 1.8 times, the cost of a request
    1.4 times as high, and quality 6 points lower.
    """
    minute = np.arange(minutes.requests.shape[1]) % DAY
    slower = 1.0 + 0.35 * np.sin(2 * np.pi * (minute / DAY - 0.25))
    job = (minute >= 130) & (minute < 170)
    longer, dearer = slower * np.where(job, 1.8, 1.0), np.where(job, 1.4, 1.0)
    return replace(
        minutes,
        **{each: getattr(minutes, each) * longer for each in LATENCIES},
        cost_usd=minutes.cost_usd * dearer,
        cost_sd=minutes.cost_sd * dearer,
        quality=minutes.quality - np.where(job, 6.0, 0.0),
    )


def rows(fleet: Fleet, minutes: Minutes) -> Iterator[list[EnrichedWindow]]:
    """The pooled rows of each minute; a scope without requests has none."""
    every = np.stack([getattr(minutes, name) for name in Minutes.__slots__])
    for at in range(every.shape[2]):
        start = fleet.start + at * MINUTE
        yield [
            row(endpoint, start, Numbers(*numbers))
            for endpoint, numbers in zip(fleet.endpoints, every[:, :, at].T.tolist(), strict=True)
            if numbers[0]
        ]


class Numbers(NamedTuple):
    """One minute of one scope, as in `Minutes`."""

    requests: float
    errors: float
    failing: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    cost_usd: float
    cost_sd: float
    quality: float
    quality_sd: float
    scores: float
    ttft_p90_ms: float
    ttft_p95_ms: float
    ttft_p99_ms: float
    answered: float
    asked: float
    cached: float
    cached_sd: float


def row(endpoint: Endpoint, start: int, of: Numbers) -> EnrichedWindow:
    """The pooled row of one minute."""
    n, cost = int(of.requests), of.cost_usd * of.requests
    metrics = {
        "cost_usd": _summary(n, of.cost_usd, of.cost_sd, (of.cost_usd,) * 4),
        "latency_ms": _summary(n, of.p95_ms, 0.0, (of.p50_ms, of.p90_ms, of.p95_ms, of.p99_ms)),
        "tokens_input": _summary(n, of.asked, 0.0, (of.asked,) * 4),
    }
    if of.answered:
        m, first = int(of.answered), (of.ttft_p90_ms, of.ttft_p95_ms, of.ttft_p99_ms)
        metrics["ttft_ms"] = _summary(m, of.ttft_p95_ms, 0.0, (of.ttft_p90_ms, *first))
        metrics["cached_tokens"] = _summary(m, of.cached, of.cached_sd, (of.cached,) * 4)
    if of.scores:
        scores = int(of.scores)
        metrics["quality"] = _summary(scores, of.quality, of.quality_sd, (of.quality,) * 4)
    return EnrichedWindow(
        window=window(
            service=endpoint.service,
            endpoint=endpoint.endpoint,
            start=start,
            end=start + MINUTE,
            requests=n,
            success=n - int(of.errors),
            errors=int(of.errors),
            error_units=tuple(range(int(of.failing))),
            metrics=metrics,
        ),
        cost_usd=cost,
        cost_per_request_usd=of.cost_usd,
    )


def _summary(
    count: int, mean: float, stddev: float, quantiles: tuple[float, float, float, float]
) -> MetricSummary:
    """What is asked of a summary; the rest is alike."""
    p50, p90, p95, p99 = quantiles
    return MetricSummary(
        count=count,
        sum=mean * count,
        mean=mean,
        min=mean,
        max=mean,
        stddev=stddev,
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
    )

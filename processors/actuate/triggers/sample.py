"""What one minute of one config is to one trigger: a few numbers, not the minute itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from processors.actuate.guardrails import arms
from processors.actuate.guardrails.arms import Arm
from processors.sketch import buckets
from processors.stats.contrast import Moments
from schemas.trigger import Trigger
from schemas.window import EnrichedWindow, Histogram

SLOW = 0.05  # more than so many beyond a limit: the 95th percentile is beyond it
MICRO = 1_000  # a latency's fixed-point units in a millisecond


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """So many values; of them `bad` beyond the limit, or else their mean and squares about it.

    An error rate is errors of requests. A 95th percentile is beyond its limit exactly when more
    than 5 % of the latencies are, so that it, too, is a count (within the sketch's 1 %), and counts
    of minutes add up. Scores and costs have a mean.
    """

    n: int = 0
    bad: int = 0
    units: tuple[int, ...] = ()  # buckets with an error, ascending
    mean: float = 0.0
    squares: float = 0.0  # of the distances from the mean


def sample(trigger: Trigger, rows: Sequence[EnrichedWindow]) -> Sample:
    """Count what *trigger* watches in the rows of one cohort; rows that know nothing give n = 0."""
    arm: Arm = arms.pool(rows)
    match trigger.metric:
        case "error_rate":
            return Sample(n=arm.requests, bad=arm.errors, units=tuple(sorted(arm.units)))
        case "p95_latency_ms":
            total = sum(arm.latency.counts)
            return Sample(n=total, bad=_above(arm.latency, trigger.limit))
        case "quality":
            moments = arm.quality_moments
        case _:
            moments = arm.cost_moments if arm.cost_moments.n else _priced(rows)
    return Sample(n=moments.n, mean=moments.mean, squares=moments.squares)


def together(samples: Iterable[Sample]) -> Sample:
    """Samples of several minutes as one; a unit counts once however many minutes it failed in."""
    known = [each for each in samples if each.n]
    n = sum(each.n for each in known)
    if len(known) < 2:
        return known[0] if known else Sample()
    mean = math.fsum(each.n * each.mean for each in known) / n
    spread = (each.squares + each.n * (each.mean - mean) ** 2 for each in known)
    return Sample(
        n=n,
        bad=sum(each.bad for each in known),
        units=tuple(sorted({unit for each in known for unit in each.units})),
        mean=mean,
        squares=math.fsum(spread),
    )


def counts(trigger: Trigger) -> bool:
    """Whether the metric is a share of requests, not a mean."""
    return trigger.metric in ("error_rate", "p95_latency_ms")


def beyond(trigger: Trigger, suspect: Sample, other: Sample) -> bool:
    """Whether the value of *suspect* is beyond the limit; without any value it is not."""
    if not suspect.n:
        return False
    limit = limit_of(trigger, other)
    if limit is None:
        return False
    if trigger.metric == "p95_latency_ms":
        return suspect.bad > SLOW * suspect.n
    if trigger.metric == "error_rate":
        return suspect.bad > limit * suspect.n
    return suspect.mean < limit if trigger.metric == "quality" else suspect.mean > limit


def limit_of(trigger: Trigger, other: Sample) -> float | None:
    """The limit in the metric's own unit; None where its baseline is not known."""
    if trigger.relative_to is None:
        return trigger.limit
    return trigger.limit * other.mean if other.n else None


def _priced(rows: Sequence[EnrichedWindow]) -> Moments:
    """The mean alone, where a pool's cost was priced from its tokens; nothing where it is unknown.

    It scatters as nobody knows: squares of 0 say so.
    """
    requests = sum(row.window.requests for row in rows)
    costs = [row.cost_usd for row in rows]
    if not requests or any(cost is None for cost in costs):
        return Moments()
    return Moments(requests, math.fsum(cost or 0.0 for cost in costs) / requests, 0.0)


def _above(histogram: Histogram, limit_ms: float) -> int:
    """How many values are in buckets above that of *limit_ms*."""
    edge = int(buckets(np.array([round(limit_ms * MICRO)]))[0])
    pairs = zip(histogram.buckets, histogram.counts, strict=True)
    return sum(count for bucket, count in pairs if bucket > edge)

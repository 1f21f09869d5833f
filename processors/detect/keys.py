"""What each key of a scope adds to its metrics, now and lately, so that a change has a cause."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import cache
from struct import Struct

from processors.detect.causes import Amount, Cell, causes
from processors.detect.policy import DetectPolicy
from processors.detect.state import Key
from processors.reading import QUANTILES
from processors.sketch import ALPHA, ESTIMATES
from schemas.anomaly import Cause
from schemas.catalog import Metric, Signal
from schemas.window import EnrichedWindow, MetricSummary, WindowAggregate

DIMENSIONS = ("model", "provider", "version", "cohort")
MICRO = 1_000.0  # of a millisecond: the unit of latency's buckets
BOUNDS = ESTIMATES.tolist()
NOTHING = (0.0, 0.0)
GONE = 0.01  # observations that are left of a key that is not there any more


@cache
def amounts(metrics: int) -> Struct:
    """Totals and sizes of *metrics* metrics as bytes."""
    return Struct(f"<{2 * metrics}f")


def note(
    policy: DetectPolicy, keys: tuple[Key, ...], row: EnrichedWindow, limits: Sequence[float]
) -> tuple[Key, ...]:
    """Remember what *row*, a closed window of one key, adds to the scope's.

    Args:
        policy: What is watched, and of how many keys.
        keys: Those known, at most twice as many as are kept in the end.
        row: Any key but a shadow, which serves nobody.
        limits: Of each metric what is expected of the scope, in its own unit; () when unknown.
    """
    window, form = row.window, amounts(len(policy.watches))
    if window.cohort == "shadow":
        return keys
    labels = (window.model, window.provider, window.config_version, window.cohort)
    limits = limits or (0.0,) * len(policy.watches)
    found = [
        amount(row, watch.metric, limit)
        for watch, limit in zip(policy.watches, limits, strict=True)
    ]
    now = form.pack(*(number for pair in found for number in pair))
    for at, key in enumerate(keys):
        if key.labels == labels:
            return (*keys[:at], key._replace(start=window.start, now=now), *keys[at + 1 :])
    if len(keys) >= 2 * policy.keys:
        return keys
    nothing = form.pack(*NOTHING * len(policy.watches))
    return (*keys, Key(labels, window.start, nothing, now))


def amount(row: EnrichedWindow, metric: Metric | Signal, limit: float) -> tuple[float, float]:
    """What *metric* of the scope is a ratio of, as far as *row* has part in it.

    A quantile is told by how many requests took longer than the *limit*, that is, than the quantile
    which is expected. (0, 0) says that there is nothing to tell.
    """
    window = row.window
    if metric in QUANTILES:
        return _beyond(window.metrics.get(QUANTILES[metric][0]), limit)
    if metric is Metric.QUALITY:
        quality = window.metrics.get("quality")
        return NOTHING if quality is None else (quality.sum, float(quality.count))
    if metric is Signal.CACHED_SHARE:
        return _cached(window)
    if metric in (Metric.COST_PER_REQUEST_USD, Metric.COST_PER_HOUR_USD):
        return NOTHING if row.cost_usd is None else (row.cost_usd, float(window.requests))
    if metric is Metric.REQUESTS:
        return NOTHING
    failed = window.errors if metric is Metric.ERROR_RATE else window.timeouts
    return float(failed), float(window.requests)


def _beyond(took: MetricSummary | None, limit: float) -> tuple[float, float]:
    if took is None or limit <= 0:
        return NOTHING
    own = bisect_left(BOUNDS, limit * MICRO * (1 - ALPHA)) - 1  # the bucket that it is in
    first = bisect_right(took.histogram.buckets, own)
    return float(sum(took.histogram.counts[first:])), float(took.count)


def _cached(window: WindowAggregate) -> tuple[float, float]:
    cached, asked = window.metrics.get("cached_tokens"), window.metrics.get("tokens_input")
    if cached is None or asked is None:
        return NOTHING
    return cached.sum, asked.mean * cached.count


def fold(
    policy: DetectPolicy, keys: tuple[Key, ...], start: int, odd: Sequence[bool]
) -> tuple[Key, ...]:
    """Let the window that begins at *start* become past; of metrics that are *odd* it does not.

    Of more keys than are kept the ones that were asked least are forgotten, and so are those that
    have been silent for long.
    """
    form, kept = amounts(len(policy.watches)), 0.5 ** (1.0 / policy.half)
    nothing = (0.0,) * (2 * len(policy.watches))
    found = []
    for key in keys:
        now = form.unpack(key.now) if key.start == start else nothing
        past = [
            before if odd[at // 2] else kept * before + new
            for at, (before, new) in enumerate(zip(form.unpack(key.past), now, strict=True))
        ]
        size = max(past[1::2])
        if size >= GONE:
            found.append((size, key._replace(past=form.pack(*past))))
    if len(found) > policy.keys:
        least = sorted((size for size, _ in found), reverse=True)[policy.keys - 1]
        found = [each for each in found if each[0] >= least][: policy.keys]
    return tuple(key for _, key in found)


def hints(
    policy: DetectPolicy, keys: tuple[Key, ...], start: int, metric: int
) -> tuple[Cause, ...]:
    """Which values of which dimensions moved with the *metric*-th watch, the likeliest first.

    () where the scope has one key, or nothing tells its keys apart.
    """
    form, at = amounts(len(policy.watches)), slice(2 * metric, 2 * metric + 2)
    cells = [
        Cell(
            dict(zip(DIMENSIONS, key.labels, strict=True)),
            Amount(*form.unpack(key.past)[at]),
            Amount(*(form.unpack(key.now)[at] if key.start == start else NOTHING)),
        )
        for key in keys
    ]
    if len(cells) < 2 or not all(
        sum(getattr(cell, side).size for cell in cells) > 0 for side in ("before", "now")
    ):
        return ()
    found = [
        Cause(dimension=h.dimension, value=h.value, share=h.share, strength=h.strength)
        for h in causes(cells)
        if h.strength > 0
    ]
    return tuple(found[: policy.hints])

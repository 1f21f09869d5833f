"""Rows of integers as the windows that people read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt

import numpy as np

from processors.sketch import ESTIMATES, rank
from processors.summary.table import CELL, COUNT, HIGH, LIMB, LOW, SUM, Ints, Summary, spans
from schemas.partial import COUNTERS, METRICS, Key
from schemas.window import SIZES, Histogram, MetricSummary, Unpriced, WindowAggregate

__all__ = ["describe", "unpriced", "unpriced_by_scope"]

M = len(METRICS)
QUANTILES = (0.5, 0.9, 0.95, 0.99)
FIRST = COUNTERS.index("unpriced_requests")
NAMES = {length: name for name, length in SIZES.items()}


def describe(
    summary: Summary,
    length: int,
    *,
    watermark: int,
    revisions: Sequence[int],
    usage: Sequence[tuple[Unpriced, ...]],
) -> list[WindowAggregate]:
    """One window per row of *summary*, in its order.

    Args:
        summary: n rows of windows of *length* ms.
        length: One of schemas.window.SIZES.
        watermark: Of the partition, ms.
        revisions: [n], of each row.
        usage: [n], what of each row came without a price.
    """
    rows = len(summary)
    units = np.split(summary.units % CELL, spans(summary.units, CELL, rows)[1:-1])
    kinds = np.split(summary.failures % CELL, spans(summary.failures, CELL, rows)[1:-1])
    often = np.split(summary.failure_counts, spans(summary.failures, CELL, rows)[1:-1])
    described = []
    for i, (k, start, counters, metrics) in enumerate(
        zip(
            summary.key.tolist(),
            summary.start.tolist(),
            summary.counters.tolist(),
            _metrics(summary),
            strict=True,
        )
    ):
        service, endpoint, model, provider, version, cohort = summary.keys[k]
        requests, success, timeouts, retries = counters[:4]
        described.append(
            WindowAggregate(
                service=service,
                endpoint=endpoint,
                model=model,
                provider=provider,
                config_version=version,
                cohort=cohort,
                window=NAMES[length],
                start=start,
                end=start + length,
                revision=revisions[i],
                closed=start + length <= watermark,
                watermark=watermark,
                requests=requests,
                success=success,
                errors=requests - success,
                timeouts=timeouts,
                retries=retries,
                errors_by_type={
                    summary.error_types[kind]: count
                    for kind, count in zip(kinds[i].tolist(), often[i].tolist(), strict=True)
                },
                error_units=tuple(units[i].tolist()),
                metrics=metrics,
                unpriced=usage[i],
            )
        )
    return described


def _metrics(summary: Summary) -> Iterator[dict[str, MetricSummary]]:
    """The metrics of each row that has values of them."""
    groups = len(summary) * M
    bounds = spans(summary.cells, CELL, groups)
    bucket = summary.cells % CELL - 1
    quantiles = _quantiles(summary, bounds, bucket)
    ends, buckets, counts = bounds.tolist(), bucket.tolist(), summary.cell_counts.tolist()
    extremes = summary.extremes.reshape(groups, 2).tolist()
    for row, moments in enumerate(summary.moments.tolist()):
        found = {}
        for m, (name, unit) in enumerate(METRICS):
            n, total = moments[m][COUNT], moments[m][SUM]
            if n == 0:
                continue
            g = row * M + m
            # Exact integers until the division: no cancellation. Below zero only when more values
            # at schemas.partial.LIMIT came than the limbs hold, which must not stop the stream.
            spread = n * ((moments[m][HIGH] << LIMB) + moments[m][LOW]) - total * total
            p50, p90, p95, p99 = quantiles[g]
            found[name] = MetricSummary(
                count=n,
                sum=total / unit,
                mean=total / (n * unit),
                min=extremes[g][0] / unit,
                max=extremes[g][1] / unit,
                stddev=sqrt(max(spread, 0) / (n * (n - 1))) / unit if n > 1 else 0.0,
                p50=p50 / unit,
                p90=p90 / unit,
                p95=p95 / unit,
                p99=p99 / unit,
                histogram=Histogram(
                    tuple(buckets[ends[g] : ends[g + 1]]), tuple(counts[ends[g] : ends[g + 1]])
                ),
            )
        yield found


def _quantiles(summary: Summary, bounds: Ints, bucket: Ints) -> list[list[float]]:
    """The QUANTILES of each row and metric, in fixed-point units; of no meaning without values."""
    groups = len(bounds) - 1
    if len(bucket) == 0:
        return [[0.0] * len(QUANTILES)] * groups
    before = np.concatenate([[0], np.cumsum(summary.cell_counts)])
    count = summary.moments[..., COUNT].reshape(groups)
    extremes = summary.extremes.reshape(groups, 2)
    found = np.empty((groups, len(QUANTILES)))
    for j, q in enumerate(QUANTILES):
        target = before[bounds[:-1]] + rank(np.maximum(count, 1), q)
        at = np.searchsorted(before[1:], target, side="right")
        estimate = ESTIMATES[bucket[np.minimum(at, len(bucket) - 1)] + 1]
        found[:, j] = np.minimum(np.maximum(estimate, extremes[:, 0]), extremes[:, 1])
    values: list[list[float]] = found.tolist()
    return values


def unpriced(summary: Summary) -> list[tuple[Unpriced, ...]]:
    """What of each row came without a price: nothing, or some of its model's usage."""
    return [
        (_usage(summary.keys[k], counters),) if counters[0] else ()
        for k, counters in zip(
            summary.key.tolist(), summary.counters[:, FIRST:].tolist(), strict=True
        )
    ]


def unpriced_by_scope(summary: Summary) -> dict[tuple[str, str], tuple[Unpriced, ...]]:
    """The same for each (service, endpoint), one entry per model and provider, sorted."""
    sums: dict[Key, list[int]] = {}
    for i in np.flatnonzero(summary.counters[:, FIRST]).tolist():
        service, endpoint, model, provider, _, _ = summary.keys[summary.key[i]]
        at = (service, endpoint, model, provider, "", "")
        counters = summary.counters[i, FIRST:].tolist()
        sums[at] = [a + b for a, b in zip(sums.get(at, [0] * 4), counters, strict=True)]
    found: dict[tuple[str, str], tuple[Unpriced, ...]] = {}
    for key in sorted(sums):
        found[key[:2]] = (*found.get(key[:2], ()), _usage(key, sums[key]))
    return found


def _usage(key: Key, counters: Sequence[int]) -> Unpriced:
    requests, tokens_input, tokens_output, cached_tokens = counters
    return Unpriced(
        model=key[2],
        provider=key[3],
        requests=requests,
        tokens_input=tokens_input,
        tokens_output=tokens_output,
        cached_tokens=cached_tokens,
    )

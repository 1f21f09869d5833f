"""Rows of integers as the windows that people read."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from processors.sketch import ESTIMATES, Floats, rank
from processors.summary.table import CELL, COUNT, LIMB, SUM, TYPES, Ints, Summary, rows_of, spans
from schemas.metrictable import MetricTable
from schemas.partial import COUNTERS, METRICS, Key
from schemas.window import SIZES, Unpriced, WindowAggregate

__all__ = ["describe", "unpriced", "unpriced_by_scope"]

M = len(METRICS)
QUANTILES = (0.5, 0.9, 0.95, 0.99)
FIRST = COUNTERS.index("unpriced_requests")
BY_NAME = np.argsort([name for name, _ in METRICS])
UNITS = np.array([unit for _, unit in METRICS])
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
    ends = spans(summary.failures, TYPES, rows).tolist()
    names = [summary.error_types[i] for i in (summary.failures % TYPES).tolist()]
    failed = list(zip(names, summary.failure_counts.tolist(), strict=True))
    marks = spans(summary.units, CELL, rows).tolist()
    units = (summary.units % CELL).tolist()
    described = []
    for i, (k, start, counters, metrics) in enumerate(
        zip(
            summary.key.tolist(),
            summary.start.tolist(),
            summary.counters.tolist(),
            _metrics(summary).rows(),
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
                errors_by_type=dict(failed[ends[i] : ends[i + 1]]),
                error_units=tuple(units[marks[i] : marks[i + 1]]),
                metrics=metrics,
                unpriced=usage[i],
            )
        )
    return described


def _metrics(summary: Summary) -> MetricTable:
    """The metrics of each row that has values of them, by name."""
    groups = len(summary) * M
    chosen = np.add.outer(np.arange(0, groups, M), BY_NAME).reshape(groups)
    moments = summary.moments.reshape(groups, 4)
    chosen = chosen[moments[chosen, COUNT] > 0]
    moments, extremes = moments[chosen], summary.extremes.reshape(groups, 2)[chosen]
    cells, at = rows_of(summary.cells, CELL, chosen, groups)
    spread, buckets, counts = _spread(moments), (cells & CELL - 1) - 1, summary.cell_counts[at]
    ends = spans(cells, CELL, len(chosen))
    count, total = moments[:, COUNT], moments[:, SUM]
    unit = UNITS[chosen % M]
    values = [
        _ratio(total, unit),
        _ratio(total, count * unit),
        extremes[:, 0] / unit,
        extremes[:, 1] / unit,
        spread / unit,
        *(each / unit for each in _quantiles(count, extremes, ends, buckets, counts)),
    ]
    return MetricTable(
        names=tuple(name for name, _ in METRICS),
        bounds=np.searchsorted(chosen // M, np.arange(len(summary) + 1)),
        name=chosen % M,
        count=count,
        values=np.stack(values),
        spans=ends,
        buckets=buckets,
        counts=counts,
    )


def _spread(moments: Ints) -> Floats:
    """The standard deviation of each sample [g] from its moments [g, 4]; 0 of one value."""
    # Exact integers until the division: no cancellation. Below zero only when more values at
    # schemas.partial.LIMIT came than the limbs hold, which must not stop the stream.
    n, total, high, low = moments.T
    pairs = n * (n - 1)
    square = n * ((high << LIMB) + low) - total * total
    found: Floats = np.sqrt(np.maximum(square, 0) / np.maximum(pairs, 1))
    found[n < 2] = 0.0
    # Whatever might leave 64 bits on the way, or is rounded before it is divided.
    size = n.astype(float) * (high.astype(float) * (1 << LIMB) + low)
    large = (n >= 1 << 31) | (np.maximum(size, total.astype(float) ** 2) >= 1 << 62)
    for i in np.flatnonzero((n > 1) & (large | (square | pairs >= 1 << 53))).tolist():
        count, sum_, top, rest = moments[i].tolist()
        exact = max(count * ((top << LIMB) + rest) - sum_ * sum_, 0)
        found[i] = sqrt(exact / (count * (count - 1)))
    return found


def _quantiles(
    count: Ints, extremes: Ints, ends: Ints, buckets: Ints, counts: Ints
) -> list[Floats]:
    """The QUANTILES of each of g sketches, in fixed-point units."""
    if len(buckets) == 0:
        return [np.zeros(len(count))] * len(QUANTILES)
    before = np.cumsum(counts)
    first = np.concatenate([[0], before])[ends[:-1]]
    found = []
    for q in QUANTILES:
        at = np.searchsorted(before, first + rank(count, q), side="right")
        estimate = ESTIMATES[buckets[np.minimum(at, len(buckets) - 1)] + 1]
        found.append(np.minimum(np.maximum(estimate, extremes[:, 0]), extremes[:, 1]))
    return found


def _ratio(over: Ints, under: Ints) -> Floats:
    """Quotients of integers that are not negative, rounded once, as Python's are."""
    found: Floats = over / under
    for i in np.flatnonzero(over | under >= 1 << 53).tolist():  # float64 rounds these before
        found[i] = int(over[i]) / int(under[i])
    return found


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

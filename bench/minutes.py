"""The rows that the pipeline would write of simulated requests, minute by minute."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.traffic import Floats, Ints, Requests
from bench.windows import window
from processors.sketch import buckets
from schemas.partial import METRICS
from schemas.scope import BUCKETS
from schemas.window import MINUTE, EnrichedWindow, Histogram, MetricSummary

UNITS = dict(METRICS)
WIDE = 65_536  # more than there are buckets


class Minute(NamedTuple):
    """The rows of both cohorts; one without requests has none."""

    stable: list[EnrichedWindow]
    candidate: list[EnrichedWindow]


def rows(requests: Requests) -> list[Minute]:
    """The rows of the two arms, minute by minute, as they stand when the minute is complete.

    Scores that come late are in no row: a row is judged once.
    """
    cells = 2 * requests.minutes
    cell = requests.minute * 2 + requests.arm
    counts = np.bincount(cell, minlength=cells).tolist()
    failed = np.bincount(cell[requests.failed], minlength=cells).tolist()
    scored = ~np.isnan(requests.quality) & ~requests.late
    metrics = {
        "latency_ms": _summaries(cell, requests.latency_ms, "latency_ms", cells),
        "cost_usd": _summaries(cell, requests.cost_usd, "cost_usd", cells),
        "quality": _summaries(cell[scored], requests.quality[scored], "quality", cells),
    }
    pairs = np.unique(cell[requests.failed] * BUCKETS + requests.bucket[requests.failed])
    cuts = np.searchsorted(pairs, np.arange(cells + 1) * BUCKETS).tolist()
    units = (pairs % BUCKETS).tolist()
    found: list[list[EnrichedWindow]] = [
        [
            row(
                cohort=("stable", "candidate")[i % 2],
                minute=i // 2,
                requests=counts[i],
                errors=failed[i],
                error_units=tuple(units[cuts[i] : cuts[i + 1]]),
                metrics={k: x for k, v in metrics.items() if (x := v[i]) is not None},
            )
        ]
        if counts[i]
        else []
        for i in range(cells)
    ]
    return [Minute(found[i], found[i + 1]) for i in range(0, cells, 2)]


def row(
    *,
    cohort: str,
    minute: int,
    requests: int,
    errors: int,
    error_units: tuple[int, ...],
    metrics: dict[str, MetricSummary],
) -> EnrichedWindow:
    """One enriched row of one minute."""
    made = window(
        service="s",
        endpoint="e",
        model="m",
        provider="p",
        config_version="v",
        cohort=cohort,
        start=minute * MINUTE,
        end=(minute + 1) * MINUTE,
        watermark=(minute + 1) * MINUTE,
        requests=requests,
        success=requests - errors,
        errors=errors,
        error_units=error_units,
        metrics=metrics,
    )
    return EnrichedWindow(window=made, cost_usd=None, cost_per_request_usd=None)


def _summaries(cell: Ints, values: Floats, name: str, cells: int) -> list[MetricSummary | None]:
    n = np.bincount(cell, minlength=cells)
    total = np.bincount(cell, weights=values, minlength=cells)
    mean = total / np.maximum(n, 1)
    spread = np.bincount(cell, weights=(values - mean[cell]) ** 2, minlength=cells)
    deviation = np.sqrt(spread / np.maximum(n - 1, 1)).tolist()
    bucket, count, cuts = histograms(cell, np.rint(values * UNITS[name]).astype(np.int64), cells)
    bucket_list, count_list = bucket.tolist(), count.tolist()
    size, sums, means = n.tolist(), total.tolist(), mean.tolist()
    return [
        MetricSummary(
            count=size[i],
            sum=sums[i],
            mean=means[i],
            min=0.0,
            max=0.0,
            stddev=deviation[i],
            p50=0.0,
            p90=0.0,
            p95=0.0,
            p99=0.0,
            histogram=Histogram(
                tuple(bucket_list[cuts[i] : cuts[i + 1]]), tuple(count_list[cuts[i] : cuts[i + 1]])
            ),
        )
        if size[i]
        else None
        for i in range(cells)
    ]


def histograms(cell: Ints, values: Ints, cells: int) -> tuple[Ints, Ints, npt.NDArray[np.intp]]:
    """Sparse histograms of all cells at once: buckets, counts, and where each cell begins."""
    codes, counts = np.unique(cell * WIDE + buckets(values) + 1, return_counts=True)
    cuts = np.searchsorted(codes, np.arange(cells + 1) * WIDE)
    return codes % WIDE - 1, counts, cuts

"""Windows as the pipeline writes them, for benches and tests: told by what is different."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from processors.sketch import buckets
from schemas.window import Histogram, MetricSummary, WindowAggregate

WINDOW = WindowAggregate(
    service="search",
    endpoint="answer",
    model="*",
    provider="*",
    config_version="*",
    cohort="*",
    window="1m",
    start=0,
    end=60_000,
    revision=1,
    closed=True,
    watermark=61_000,
    requests=1,
    success=1,
    errors=0,
    timeouts=0,
    retries=0,
)


def window(**changes: Any) -> WindowAggregate:
    """A closed minute of a whole scope, with one request."""
    return replace(WINDOW, **changes)


def alike(value: float, count: int) -> MetricSummary:
    """The summary of *count* times the same *value*, without a histogram."""
    return MetricSummary(
        count=count,
        sum=value * count,
        mean=value,
        min=value,
        max=value,
        stddev=0.0,
        p50=value,
        p90=value,
        p95=value,
        p99=value,
    )


def summary(values: Sequence[float] | npt.NDArray[np.float64], unit: int = 1_000) -> MetricSummary:
    """The summary of *values*, at least one, with a histogram of their *unit*-ths."""
    x = np.asarray(values, dtype=float)
    found, counts = np.unique(buckets(np.rint(x * unit).astype(np.int64)), return_counts=True)
    p50, p90, p95, p99 = np.quantile(x, (0.5, 0.9, 0.95, 0.99)).tolist()
    return MetricSummary(
        count=len(x),
        sum=float(x.sum()),
        mean=float(x.mean()),
        min=float(x.min()),
        max=float(x.max()),
        stddev=float(x.std(ddof=1)) if len(x) > 1 else 0.0,
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
        histogram=Histogram(tuple(found.tolist()), tuple(counts.tolist())),
    )

"""The samples behind windows' log-bucket histograms, up to order (see processors.sketch)."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from processors.sketch import ESTIMATES, GAMMA
from schemas.window import Histogram

Floats = npt.NDArray[np.float64]


def pool(histograms: Iterable[Histogram]) -> Histogram:
    """Add histograms up, bucket by bucket.

    >>> pool([Histogram((3, 5), (1, 2)), Histogram((5,), (4,))])
    Histogram(buckets=(3, 5), counts=(1, 6))
    """
    totals: dict[int, int] = {}
    ordered = True
    for histogram in histograms:
        if not totals:
            totals = dict(zip(histogram.buckets, histogram.counts, strict=True))
            continue
        before = len(totals)
        for bucket, count in zip(histogram.buckets, histogram.counts, strict=True):
            totals[bucket] = totals.get(bucket, 0) + count
        ordered = ordered and len(totals) == before
    if not ordered:
        totals = dict(sorted(totals.items()))
    return Histogram(tuple(totals), tuple(totals.values()))


def sample(histogram: Histogram) -> Floats:
    """The values behind a histogram, ascending, each as the middle of its bucket."""
    buckets = np.array(histogram.buckets, dtype=np.int64)
    counts = np.array(histogram.counts, dtype=np.int64)
    return np.repeat(ESTIMATES[buckets + 1], counts)


def quantile(histogram: Histogram, q: float) -> int | None:
    """The first bucket that at least a share *q* of the values do not exceed; None when empty."""
    need = q * sum(histogram.counts)
    seen = 0
    for bucket, count in zip(histogram.buckets, histogram.counts, strict=True):
        seen += count
        if seen >= need and count:
            return bucket
    return None


def steps(ratio: float) -> int:
    """By how many buckets a value moves when it is multiplied by *ratio* > 0."""
    return round(math.log(ratio) / math.log(GAMMA))

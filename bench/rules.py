"""How others decide that a canary is worse, on the minutes that our verdicts see.

Each rule is a function of both arms' minutes and of the time before; its answer is the first minute
after which it rolls back, or None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from bench.minutes import histograms
from bench.traffic import Floats, Ints, Requests
from processors.sketch import ESTIMATES

MICRO = 1_000.0  # of a millisecond
MORE_ERRORS = 0.02  # absolute
SLOWER = 1.25  # times
LOOKBACK = 5  # minutes that a threshold's query looks back
FEWEST = 30  # requests per arm before a z or t statistic is formed
Z = 1.96  # two-sided 0.05, of which the half that says "worse" counts
HOUR = 60  # a Mann-Whitney judge asks for 50 points or more per metric
LEVEL = 0.98  # of its interval
TOLERANCE = 0.25  # part of the shift by which the interval must be off zero
CHECKS = 10  # failed checks that Flagger's documentation allows


@dataclass(frozen=True)
class Minutes:
    """Both arms [minutes, 2]: counts, sums and squares; latency also in buckets [.., .., k]."""

    requests: Floats
    failed: Floats
    latency: Floats  # buckets
    bucket: Ints  # number of each bucket
    sums: Mapping[str, tuple[Floats, Floats, Floats]]  # metric → n, Σx, Σx²

    def rate(self) -> Floats:
        """The error rate, minute by minute; NaN without requests."""
        return np.divide(
            self.failed,
            self.requests,
            out=np.full_like(self.failed, math.nan),
            where=self.requests > 0,
        )

    def mean(self, metric: str) -> Floats:
        """The mean, minute by minute; NaN without values."""
        n, total, _ = self.sums[metric]
        return np.divide(total, n, out=np.full_like(total, math.nan), where=n > 0)


@dataclass(frozen=True)
class Before:
    """The stable config in the time before the rollout."""

    error_rate: float
    p99_ms: float


def minutes(requests: Requests) -> Minutes:
    """Add the requests up."""
    cells = 2 * requests.minutes
    cell = requests.minute * 2 + requests.arm
    micro = np.rint(requests.latency_ms * MICRO).astype(np.int64)
    bucket, count, cuts = histograms(cell, micro, cells)
    known = np.unique(bucket)
    latency = np.zeros((cells, known.size))
    latency[np.repeat(np.arange(cells), np.diff(cuts)), np.searchsorted(known, bucket)] = count
    scored = ~np.isnan(requests.quality) & ~requests.late
    return Minutes(
        requests=_by_arm(np.bincount(cell, minlength=cells)),
        failed=_by_arm(np.bincount(cell[requests.failed], minlength=cells)),
        latency=latency.reshape(requests.minutes, 2, -1),
        bucket=known,
        sums={
            "latency": _sums(cell, requests.latency_ms, cells),
            "quality": _sums(cell[scored], -requests.quality[scored], cells),
            "cost": _sums(cell, requests.cost_usd, cells),
        },
    )


def before(requests: Requests) -> Before:
    """What the stable config did, by which absolute thresholds are set."""
    return Before(float(requests.failed.mean()), float(np.quantile(requests.latency_ms, 0.99)))


def thresholds(seen: Minutes, _: Before) -> int | None:
    """Roll back at once when the last 5 minutes are beyond error + 2 points or p95 + 25 %."""
    n, failed = _lately(seen.requests), _lately(seen.failed)
    p95 = _quantile(_lately(seen.latency), seen.bucket, 0.95)
    both = (n > 0).all(axis=1)
    rate = failed / np.maximum(n, 1)
    worse = (rate[:, 1] - rate[:, 0] > MORE_ERRORS) | (p95[:, 1] > SLOWER * p95[:, 0])
    return _first(both & worse)


def repeated(seen: Minutes, _: Before) -> int | None:
    """Look every minute at p < 0.05: two-proportion z for errors, Welch's t for three means."""
    n, k = np.cumsum(seen.requests, axis=0), np.cumsum(seen.failed, axis=0)
    rate = k / np.maximum(n, 1)
    pooled = k.sum(axis=1) / np.maximum(n.sum(axis=1), 1)
    variance = pooled * (1 - pooled) * (1 / np.maximum(n, 1)).sum(axis=1)
    worse = (n >= FEWEST).all(axis=1) & (rate[:, 1] - rate[:, 0] > Z * np.sqrt(variance))
    for n, total, squares in seen.sums.values():
        size = np.maximum(np.cumsum(n, axis=0), 1)
        mean = np.cumsum(total, axis=0) / size
        spread = np.maximum(np.cumsum(squares, axis=0) / size - mean**2, 0)
        error = np.sqrt((spread / np.maximum(size - 1, 1)).sum(axis=1))
        worse |= (size >= FEWEST).all(axis=1) & (mean[:, 1] - mean[:, 0] > Z * error)
    return _first(worse)


def mann_whitney(seen: Minutes, _: Before) -> int | None:
    """Kayenta's judge, hourly over all minutes so far, each metric's minutes as its sample.

    A metric is worse when the lower end of the 98 % interval of the shift (Hodges-Lehmann) is
    above a quarter of the estimated shift; one such metric rolls back.
    """
    columns = [
        seen.rate(),
        np.where(
            seen.requests > 0,
            _quantile(seen.latency, seen.bucket, 0.95),
            math.nan,
        ),
        seen.mean("quality"),
        seen.mean("cost"),
    ]
    for end in range(HOUR, len(seen.requests) + 1, HOUR):
        if any(_shifted(*(x[:end, arm] for arm in (0, 1))) for x in columns):
            return end - 1
    return None


def _shifted(stable: Floats, candidate: Floats) -> bool:
    a, b = stable[~np.isnan(stable)], candidate[~np.isnan(candidate)]
    if min(a.size, b.size) < 2 or np.unique(np.concatenate((a, b))).size == 1:
        return False
    tail = (1 - LEVEL) / 2
    if stats.mannwhitneyu(b, a, alternative="greater", method="asymptotic").pvalue >= tail:
        return False  # the interval covers zero
    differences = np.sort(np.subtract.outer(b, a), axis=None)
    n, m = b.size, a.size
    rank = n * m / 2 + stats.norm.ppf(tail) * math.sqrt(n * m * (n + m + 1) / 12)
    low = differences[max(int(rank), 0)]
    return bool(low > TOLERANCE * abs(np.median(differences)))


def failed_checks(seen: Minutes, past: Before) -> int | None:
    """Flagger's counter: a check each minute against absolute limits; the tenth failed one.

    The limits are what an operator would take from the time before: its error rate and two points,
    its p99 and a quarter. The counter never goes back. A minute without requests is no check.
    """
    rate = seen.rate()[:, 1]
    p99 = _quantile(seen.latency, seen.bucket, 0.99)[:, 1]
    failed = (rate > past.error_rate + MORE_ERRORS) | (p99 > SLOWER * past.p99_ms)
    return _first(np.cumsum(failed & (seen.requests[:, 1] > 0)) >= CHECKS)


RULES: Mapping[str, Callable[[Minutes, Before], int | None]] = {
    "fixed thresholds": thresholds,
    "repeated p < 0.05": repeated,
    "Mann-Whitney (Kayenta)": mann_whitney,
    "failed checks (Flagger)": failed_checks,
}


def _by_arm(values: npt.NDArray[np.generic]) -> Floats:
    return values.astype(np.float64).reshape(-1, 2)


def _sums(cell: Ints, values: Floats, cells: int) -> tuple[Floats, Floats, Floats]:
    """n, Σx and Σx² [minutes, 2]; larger is worse."""
    return (
        _by_arm(np.bincount(cell, minlength=cells)),
        _by_arm(np.bincount(cell, weights=values, minlength=cells)),
        _by_arm(np.bincount(cell, weights=values**2, minlength=cells)),
    )


def _lately(values: Floats) -> Floats:
    """The sum of the last LOOKBACK minutes, at each of them."""
    total = np.cumsum(values, axis=0)
    total[LOOKBACK:] -= total[:-LOOKBACK].copy()
    return total


def _quantile(counts: Floats, bucket: Ints, q: float) -> Floats:
    """The q-quantile of histograms [.., k], ms; of nothing the lowest bucket's, or NaN."""
    if not bucket.size:
        return np.full(counts.shape[:-1], math.nan)
    below = np.cumsum(counts, axis=-1)
    at = (below >= q * below[..., -1:]).argmax(axis=-1)
    found: Floats = ESTIMATES[bucket[at] + 1] / MICRO
    return found


def _first(worse: npt.NDArray[np.bool_]) -> int | None:
    return int(worse.argmax()) if worse.any() else None

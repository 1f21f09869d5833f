"""What would happen, drawn many times?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.predict.scales import SCALES
from processors.predict.similar import Guess

Floats = npt.NDArray[np.float64]

MARGINS: Mapping[str, float] = {
    "cost_per_request_usd": 0.05,
    "p95_latency_ms": 0.20,
    "quality": 0.10,
}
"""What may be worse, as a share of today's value."""
ERRORS = 0.01  # what may be worse of the error rate, absolute


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests per hour, log-normal about their median."""

    median: float
    sigma: float = 0.0  # standard deviation of the logarithm


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Shares and quantiles over all draws."""

    worse: Mapping[str, float]  # by metric: P(worse than is allowed)
    broken: Mapping[str, float]  # by limit: P(above; of quality: below)
    daily_usd: tuple[float, float, float] | None  # 5 %, median, 95 %; None without a cost


def whatif(
    now: Mapping[str, float],
    after: Mapping[str, Guess],
    traffic: Traffic,
    limits: Mapping[str, float],
    *,
    draws: int,
    seed: int,
) -> Drawn:
    """Draw every metric and the traffic together; metrics are drawn independently.

    Args:
        now: today's values by metric.
        after: guesses on the metrics' scales.
        traffic: of the scope.
        limits: by metric, or `daily_usd` for the cost of a day.
        draws: how many.
        seed: the same draws for the same seed.

    Raises:
        ValueError: no draws, or a limit that belongs to nothing.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    if unknown := sorted(limits.keys() - SCALES.keys() - {"daily_usd"}):
        raise ValueError(f"nothing is known of a limit of {unknown[0]!r}")
    rng = np.random.default_rng(seed)
    hourly = traffic.median * np.exp(traffic.sigma * rng.standard_normal(draws))
    values: dict[str, Floats] = {}
    for metric in sorted(after):
        guess, scale = after[metric], SCALES[metric]
        drawn = guess.mean + guess.sd * rng.standard_normal(draws)
        values[metric] = np.array([scale.back(x) for x in drawn.tolist()])
    worse = {
        metric: float((SCALES[metric].better * (drawn - allowed(metric, now[metric])) < 0).mean())
        for metric, drawn in values.items()
        if metric in now
    }
    cost = values.get("cost_per_request_usd")
    if cost is not None:
        values["daily_usd"] = 24 * hourly * cost
    broken = {
        name: float((values[name] < limit if name == "quality" else values[name] > limit).mean())
        for name, limit in limits.items()
        if name in values
    }
    low, middle, high = np.quantile(values.get("daily_usd", hourly), (0.05, 0.5, 0.95)).tolist()
    daily = None if cost is None else (low, middle, high)
    return Drawn(worse=worse, broken=broken, daily_usd=daily)


def allowed(metric: str, now: float) -> float:
    """The worst value that is not worse than today's beyond the metric's margin.

    >>> allowed("quality", 80.0), allowed("error_rate", 0.02)
    (72.0, 0.03)
    """
    if metric == "error_rate":
        return now + ERRORS
    return now * (1 - SCALES[metric].better * MARGINS[metric])

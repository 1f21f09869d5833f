"""The scale of a metric on which changes of different scopes are alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import asin, exp, isfinite, log, pi, sin, sqrt
from typing import Literal

from processors.predict.history import Level

SMALLEST = 1e-9  # of a positive value
RAREST = 1e-4  # rate whose error is taken for that of rarer ones


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a metric's changes add up."""

    forward: Callable[[float], float]
    back: Callable[[float], float]
    slope: Callable[[float], float]  # derivative of `forward`
    spread: float  # standard deviation of a change that nothing is known of
    better: Literal[-1, 1]  # the sign of what is better

    def on(self, level: Level) -> Level:
        """The level on the scale, its error by the delta method.

        Raises:
            ValueError: a value that is no finite number, or an error below 0.
        """
        if not (isfinite(level.value) and isfinite(level.error) and level.error >= 0.0):
            raise ValueError(f"a level must be a finite number with an error, got {tuple(level)}")
        return Level(self.forward(level.value), level.error * self.slope(level.value))


def _log(value: float) -> float:
    return log(max(value, SMALLEST))


def _inverse(value: float) -> float:
    return 1 / max(value, SMALLEST)


def _same(value: float) -> float:
    return value


def _one(_: float) -> float:
    return 1.0


def _points(value: float) -> float:
    return min(100.0, max(0.0, value))


def _arc(rate: float) -> float:
    """The angle on which the variance of a rate depends on the number of trials only."""
    return asin(sqrt(min(1.0, max(0.0, rate))))


def _rate(arc: float) -> float:
    return sin(min(pi / 2, max(0.0, arc))) ** 2


def _arc_slope(rate: float) -> float:
    inside = min(1 - RAREST, max(RAREST, rate))
    return 0.5 / sqrt(inside * (1 - inside))


SCALES: Mapping[str, Scale] = {
    "cost_per_request_usd": Scale(_log, exp, _inverse, 0.5, -1),
    "p95_latency_ms": Scale(_log, exp, _inverse, 0.4, -1),
    "quality": Scale(_same, _points, _one, 8.0, 1),
    "error_rate": Scale(_arc, _rate, _arc_slope, 0.1, -1),
}
"""Costs and latencies change by factors, scores by points, rates by angles (Anscombe, 1948)."""

"""The mean of e-values that are kept as logarithms."""

from __future__ import annotations

import math
from collections.abc import Sequence


def log_mean(logs: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """Log of the weighted mean of exp(*logs*); equal weights when none are given.

    The mean of e-values is an e-value, whatever their dependence. An empty sequence is no
    evidence: 0, the log of an e-value of 1.

    >>> log_mean([])
    0.0
    >>> round(log_mean([0.0, math.log(3.0)]), 6) == round(math.log(2.0), 6)
    True
    """
    if not logs:
        return 0.0
    top = max(logs)
    if weights is None:
        return top + math.log(math.fsum(math.exp(x - top) for x in logs) / len(logs))
    total = math.fsum(w * math.exp(x - top) for x, w in zip(logs, weights, strict=True))
    return top + math.log(total / math.fsum(weights))


def tempered(logs: Sequence[float], inflation: float) -> float:
    """Log mean of e-values whose evidence is discounted by a variance inflation ≥ 1.

    Requests of one session resemble each other, so n of them weigh as n/φ independent ones. By
    Jensen mean(E_j^(1/φ)) ≤ mean(E_j)^(1/φ): what reaches 1/α tempered has reached it untempered,
    so discounting never adds a false alarm.

    Raises:
        ValueError: the inflation is below 1.
    """
    if inflation < 1.0:
        raise ValueError(f"inflation must be at least 1, got {inflation}")
    return log_mean([x / inflation for x in logs])

"""Faults in traffic that was healthy, each kind at some times of some scopes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from bench.healthy import DAY, LATENCIES, Floats, Minutes

FIRST, EVERY, LENGTH = DAY, 240, 30  # minutes: the first fault, from one to the next, of each
ENOUGH = 20  # requests of the median minute of a trial, so that the stage can judge at all


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong in one metric, and by how much; see simulator.faults."""

    metric: str
    kind: str  # slow, errors, cost or quality
    size: float


FAULTS: Mapping[str, Fault] = {
    f"{kind} {size:g}": Fault(metric, kind, size)
    for kind, metric, sizes in (
        ("slow", "p95_latency_ms", (1.5, 2.0, 3.0, 5.0)),
        ("errors", "error_rate", (0.05, 0.1, 0.3)),
        ("cost", "cost_per_request_usd", (1.3, 2.0, 4.0)),
        ("quality", "quality", (3.0, 10.0, 30.0)),
    )
    for size in sizes
}


class Trial(NamedTuple):
    """One fault of one scope."""

    fault: str
    scope: int
    start: int  # minute


def break_(minutes: Minutes) -> tuple[Minutes, list[Trial]]:
    """Let things go wrong for half an hour every four hours, from the second day on.

    Returns:
        What came of it, and the faults of scopes that are asked enough to be judged.
    """
    rng, names, trials = np.random.default_rng(0), list(FAULTS), []
    scopes, length = minutes.requests.shape
    for slot, start in enumerate(range(FIRST, length - LENGTH, EVERY)):
        for scope in range(scopes):
            name = names[(slot + scope) % len(names)]
            on = np.zeros((scopes, length), np.bool_)
            on[scope, start : start + LENGTH] = True
            if np.median(minutes.requests[on]) >= ENOUGH:
                trials.append(Trial(name, scope, start))
                minutes = _with(minutes, FAULTS[name], on, rng)
    return minutes, trials


def _with(
    minutes: Minutes,
    fault: Fault,
    on: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
    rng: np.random.Generator,
) -> Minutes:
    times: Floats = np.where(on, fault.size, 1.0)
    match fault.kind:
        case "slow":
            slower = {n: getattr(minutes, n) * times for n in LATENCIES}
            return replace(minutes, **slower)
        case "cost":
            return replace(
                minutes, cost_usd=minutes.cost_usd * times, cost_sd=minutes.cost_sd * times
            )
        case "quality":
            return replace(minutes, quality=minutes.quality - np.where(on, fault.size, 0.0))
        case _:
            right = (minutes.requests - minutes.errors).astype(np.int64)
            more = rng.binomial(right, np.where(on, fault.size, 0.0))
            # Nearly every one of them is another user's.
            return replace(
                minutes, errors=minutes.errors + more, failing=minutes.failing + np.ceil(0.9 * more)
            )

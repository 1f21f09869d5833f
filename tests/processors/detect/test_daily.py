"""What happens at the same time every day, once it is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from processors.detect import DetectPolicy
from schemas.window import EnrichedWindow
from tests.processors.detect.watching import POLICY, minute, run

NIGHT, DAYS = 300, 9  # minutes after midnight that are looked at
ONLY = DetectPolicy(watches=POLICY.watches[:1])  # latency


def nights(factor: float, seed: int = 0) -> list[EnrichedWindow]:
    """A job slows everything down from about 2:10 to 2:50, a little earlier or later each night."""
    rng, found = np.random.default_rng(seed), []
    for day in range(DAYS):
        late = int(rng.integers(-3, 4))
        for n in range(NIGHT):
            slow = factor if 130 <= n - late < 170 else 1.0
            latency = float(100 * slow * rng.lognormal(0, 0.06))
            found.append(minute(day * 1_440 + n, latency=latency))
    return found


def days_told(rows: list[EnrichedWindow], policy: DetectPolicy = ONLY) -> list[int]:
    _, anomalies = run(rows, policy)
    return sorted({a.start // 86_400_000 for a in anomalies})


def test_a_job_at_night_is_told_until_it_is_known_and_then_no_more() -> None:
    told = days_told(nights(1.8))

    assert 0 == told[0]
    assert max(told) < 5


def test_without_learning_it_is_told_every_night() -> None:
    never = replace(ONLY, daily=0.0)

    assert list(range(DAYS)) == days_told(nights(1.8), never)


def test_a_night_that_is_twice_as_bad_as_usual_is_still_told() -> None:
    rows = nights(1.8)
    worse = [
        minute(row.window.start // 60_000, latency=row.window.metrics["latency_ms"].p95 * 2)
        if row.window.start >= (DAYS - 1) * 86_400_000 + 140 * 60_000
        else row
        for row in rows
    ]

    assert DAYS - 1 in days_told(worse)


def test_a_night_without_a_job_is_quiet_on_every_day() -> None:
    assert [] == days_told(nights(1.0))

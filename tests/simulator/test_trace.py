"""Real arrivals at any rate."""

import numpy as np
import pytest

from simulator.trace import EXCERPT, MINUTE, azure


def test_the_excerpt_is_small_and_its_licence_lies_beside_it() -> None:
    licence = EXCERPT.with_name("AZURE-TRACE-LICENSE.md").read_text()

    assert EXCERPT.stat().st_size < 1_000_000
    assert "CC-BY-4.0" in licence
    assert 8_819 == len(azure().offset)


def test_minutes_join_to_the_whole_trace_over_and_over() -> None:
    trace = azure()
    parts = [trace.within(m * MINUTE, (m + 1) * MINUTE, 1_234_567) for m in range(200)]
    times = np.concatenate([times for times, _ in parts])
    rows = np.concatenate([rows for _, rows in parts])
    whole, _ = divmod(200 * MINUTE, trace.length)

    assert np.all(np.diff(times) >= 0)
    assert whole * 8_819 <= len(rows) <= (whole + 1) * 8_819
    assert 8_819 == len(set(rows[:8_819].tolist()))
    for m, (inside, _) in enumerate(parts):
        assert np.all((inside >= m * MINUTE) & (inside < (m + 1) * MINUTE))


@pytest.mark.parametrize("rate", [5.0, 100.0, 600.0, 3_000.0])
def test_arrivals_keep_the_rate_asked_for(rate: float) -> None:
    trace, rng = azure(), np.random.default_rng(1)
    minutes = int(trace.length / MINUTE) + 1
    counts = [
        len(trace.arrivals(rate, m * MINUTE, (m + 1) * MINUTE, rng)[0]) for m in range(minutes)
    ]

    assert rate == pytest.approx(np.mean(counts), rel=0.15)


@pytest.mark.parametrize("rate", [100.0, 600.0])
def test_bursts_stay_bursts(rate: float) -> None:
    trace, rng = azure(), np.random.default_rng(1)
    counts = [len(trace.arrivals(rate, m * MINUTE, (m + 1) * MINUTE, rng)[0]) for m in range(57)]

    assert 10 * np.mean(counts) < np.var(counts)

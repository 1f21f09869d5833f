from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.merge.describe import _ratio, _spread, describe, unpriced, unpriced_by_scope
from processors.sketch import buckets
from processors.summary.combine import combine, pool
from processors.summary.summarize import summarize
from processors.summary.table import LIMB, NEVER
from schemas.columns import ABSENT, EventColumns
from schemas.partial import METRICS, Key
from schemas.window import SIZES, Unpriced, WindowAggregate

Making = Callable[..., EventColumns]
KEY: Key = ("shop", "find", "large", "acme", "v1", "stable")
NAMES = [name for name, _ in METRICS]


def described(found: EventColumns, length: int = SIZES["1m"]) -> list[WindowAggregate]:
    summary = combine([summarize(found)], length)
    return describe(
        summary,
        length,
        watermark=120_000,
        revisions=[7] * len(summary),
        usage=unpriced(summary),
    )


def with_latency(make_events: Making, latency_us: list[int]) -> EventColumns:
    found = make_events([61_000] * len(latency_us), 1, (KEY,))
    values = np.full_like(found.values, ABSENT)
    values[:, 0] = latency_us
    return replace(found, values=values)


def test_a_row_says_whose_it_is_and_when(make_events: Making) -> None:
    (row,) = described(make_events([61_000] * 5, 1, (KEY,)))

    assert (
        row.service,
        row.endpoint,
        row.model,
        row.provider,
        row.config_version,
        row.cohort,
    ) == KEY
    assert ("1m", 60_000, 120_000, 7, True, 120_000) == (
        row.window,
        row.start,
        row.end,
        row.revision,
        row.closed,
        row.watermark,
    )


def test_a_window_that_the_watermark_has_not_passed_is_open(make_events: Making) -> None:
    assert [False] == [row.closed for row in described(make_events([1], 1, (KEY,)), SIZES["5m"])]


@pytest.mark.parametrize("size", [2, 30, 5_000])
@pytest.mark.parametrize("scale", [1, 1_000, 1 << 39])
def test_moments_are_exact_and_quantiles_within_one_percent(
    make_events: Making, size: int, scale: int
) -> None:
    rng = np.random.default_rng(size)
    latency = (scale + rng.integers(0, scale, size)).tolist()
    (row,) = described(with_latency(make_events, latency))
    found, exact = row.metrics["latency_ms"], np.array(latency) / 1_000

    assert ["latency_ms"] == list(row.metrics)
    assert size == found.count == sum(found.histogram.counts)
    assert sum(latency) / 1_000 == found.sum
    assert sum(latency) / (1_000 * size) == found.mean
    assert (min(latency) / 1_000, max(latency) / 1_000) == (found.min, found.max)
    assert float(np.std(exact, ddof=1)) == pytest.approx(found.stddev, rel=1e-9)
    for q, value in ((0.5, found.p50), (0.9, found.p90), (0.95, found.p95), (0.99, found.p99)):
        assert np.quantile(exact, q, method="lower") == pytest.approx(value, rel=0.0101)


def test_the_spread_of_large_values_is_not_lost_to_rounding(make_events: Making) -> None:
    base = 1 << 39
    (row,) = described(with_latency(make_events, [base, base + 1, base + 2]))

    assert 0.001 == row.metrics["latency_ms"].stddev


@given(st.lists(st.tuples(st.integers(0, NEVER), st.integers(1, NEVER)), min_size=1))
def test_quotients_are_rounded_once_however_large_the_sums(pairs: list[tuple[int, int]]) -> None:
    over, under = np.array(pairs, dtype=np.int64).T

    assert [a / b for a, b in pairs] == _ratio(over, under).tolist()


COUNTS = st.integers(0, 12) | st.integers(0, 1 << 40)


@given(
    st.lists(
        st.tuples(COUNTS, COUNTS | st.integers(0, NEVER), COUNTS, st.integers(0, (1 << LIMB) - 1)),
        min_size=1,
    )
)
def test_spreads_are_rounded_once_however_large_the_moments(
    moments: list[tuple[int, int, int, int]],
) -> None:
    exact = [
        math.sqrt(max(n * ((high << LIMB) + low) - total * total, 0) / (n * (n - 1)))
        if n > 1
        else 0.0
        for n, total, high, low in moments
    ]

    assert exact == _spread(np.array(moments, dtype=np.int64)).tolist()


def test_metrics_are_told_by_name(make_events: Making) -> None:
    found = make_events([61_000] * 300, 1, (KEY,))
    rng = np.random.default_rng(1)
    values = rng.integers(0, 1 << 30, found.values.shape)
    values[rng.random(values.shape) < 0.1] = ABSENT
    (row,) = described(replace(found, values=values))

    assert sorted(NAMES) == list(row.metrics)
    for m, (name, unit) in enumerate(METRICS):
        there = values[values[:, m] != ABSENT, m]
        metric = row.metrics[name]
        spread = len(there) * sum(int(v) ** 2 for v in there) - int(there.sum()) ** 2

        assert (len(there), there.sum() / unit) == (metric.count, metric.sum)
        assert (there.min() / unit, there.max() / unit) == (metric.min, metric.max)
        assert math.sqrt(spread / (len(there) * (len(there) - 1))) / unit == metric.stddev
        numbers, counts = np.unique(buckets(there), return_counts=True)
        assert tuple(numbers.tolist()) == metric.histogram.buckets
        assert tuple(counts.tolist()) == metric.histogram.counts


def test_one_value_has_no_spread(make_events: Making) -> None:
    (row,) = described(with_latency(make_events, [5_000]))
    found = row.metrics["latency_ms"]

    assert (0.0, 5.0, 5.0, 5.0) == (found.stddev, found.p50, found.p99, found.mean)


def test_a_row_without_values_has_no_metrics(make_events: Making) -> None:
    found = make_events([61_000] * 3, 1, (KEY,))
    (row,) = described(replace(found, values=np.full_like(found.values, ABSENT)))

    assert {} == row.metrics
    assert row.requests > 0


def test_usage_without_a_cost_is_told_by_model(make_events: Making) -> None:
    other: Key = ("shop", "find", "small", "acme", "", "")
    priced: Key = ("shop", "pay", "small", "acme", "", "")
    found = make_events([61_000] * 4, 1, (KEY, other, priced))
    values = np.full_like(found.values, ABSENT)
    for name, column in (
        ("tokens_input", [1, 2, 3, 4]),
        ("tokens_output", [10, 20, 30, 40]),
        ("cached_tokens", [ABSENT, 5, ABSENT, 7]),
        ("cost_usd", [ABSENT, ABSENT, ABSENT, 9]),
    ):
        values[:, NAMES.index(name)] = column
    found = replace(
        found, key=np.array([0, 0, 1, 2]), values=values, request=np.ones(4, dtype=np.bool_)
    )
    summary = combine([summarize(found)])
    large = Unpriced(
        model="large",
        provider="acme",
        requests=2,
        tokens_input=3,
        tokens_output=30,
        cached_tokens=5,
    )
    small = Unpriced(
        model="small",
        provider="acme",
        requests=1,
        tokens_input=3,
        tokens_output=30,
        cached_tokens=0,
    )

    assert [(large,), (small,), ()] == unpriced(summary)
    assert {("shop", "find"): (large, small)} == unpriced_by_scope(summary)


def test_error_types_are_counted_by_name(make_events: Making) -> None:
    found = make_events([61_000] * 5, 1, (KEY,))
    found = replace(
        found,
        error_type=np.array([0, 0, 1, ABSENT, ABSENT]),
        failed=np.array([True, True, True, True, False]),
        request=np.ones(5, dtype=np.bool_),
        unit=np.array([9, 9, 3, 65_535, 1]),
    )
    (row,) = described(found)

    assert {"timeout": 2, "rate_limit": 1} == row.errors_by_type
    assert (3, 9) == row.error_units
    assert (5, 1, 4) == (row.requests, row.success, row.errors)


def test_a_pooled_row_has_all_units_once(make_events: Making) -> None:
    other: Key = ("shop", "find", "small", "acme", "", "")
    found = make_events([61_000] * 2, 1, (KEY, other))
    found = replace(
        found, key=np.array([0, 1]), failed=np.ones(2, dtype=np.bool_), unit=np.array([9, 9])
    )
    pooled = pool(combine([summarize(found)]), SIZES["1m"])
    (row,) = describe(pooled, SIZES["1m"], watermark=0, revisions=[1], usage=[()])

    assert (9,) == row.error_units
    assert row.pooled

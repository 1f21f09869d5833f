"""Policies that cannot work, and the small parts of a look."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.analyze.stage.history import (
    CELL,
    extended,
    filled,
    packed,
    readings,
    revised,
    table,
    unpacked,
)
from processors.analyze.stage.policy import (
    DAYS,
    HOURS,
    MEASURES,
    MINUTES,
    AnalyzePolicy,
    Measure,
    Span,
)
from processors.analyze.stage.words import called, lasting
from processors.analyze.trend import Good
from schemas.catalog import Metric
from tests.processors.analyze.stage.world import POLICY, window

ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=20
)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"window": "2m"}, "no window"),
        ({"every": 0}, "every must"),
        ({"least": 7}, "least at least 8"),
        ({"least": 121}, "at most kept"),
        ({"steps": ()}, "rising numbers"),
        ({"steps": (0, 1)}, "rising numbers"),
        ({"steps": (2, 2)}, "rising numbers"),
        ({"steps": (1, 61)}, "at least 122"),
    ],
)
def test_a_span_in_which_nothing_is_ever_seen_is_refused(
    wrong: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        replace(MINUTES, **wrong)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"measures": ()}, "at least one"),
        ({"measures": (MEASURES[0], MEASURES[0])}, "one metric each"),
        ({"minutes": HOURS}, "are of 1h, 1h, 24h"),
        ({"days": replace(DAYS, window="7d")}, "are of 1m, 1h, 7d"),
        ({"sure": 0.0}, "between 0 and 1"),
        ({"surer": 1.0}, "between 0 and 1"),
        ({"level": 1.0}, "between 0 and 1"),
        ({"again": 1.0}, "between 0 and 1"),
        ({"settled": math.nan}, "between 0 and 1"),
        ({"little": 0.0}, "above 0"),
        ({"moved": -1.0}, "above 0"),
        ({"limit": 0.0}, "above 0"),
        ({"events": 0}, "at least 1"),
        ({"snapshots": 0}, "at least 1"),
        ({"compared": 7}, "compared must be at least 8"),
        ({"compared": 193}, "compared must"),
        ({"before": 7}, "before must be at least 8"),
        ({"before": 61}, "half of the minutes"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        AnalyzePolicy(**wrong)


def test_a_forecast_of_one_step_still_needs_twenty_windows() -> None:
    assert 20 == Span(window="1m", kept=20, least=8, steps=(1,)).foreseeable


@given(ROWS, st.integers(1, 12))
def test_a_history_is_the_newest_rows_with_gaps_between(
    rows: list[tuple[int, float]], kept: int
) -> None:
    values, every = b"", []
    for missing, value in rows:
        values = extended(values, missing, (value, -value), kept)
        every += [math.nan] * missing + [value]
    found = table(values, 2)

    np.testing.assert_array_equal(np.array(every[-kept:], CELL), found[-len(every) :, 0])
    np.testing.assert_array_equal(found[:, 0], -found[:, 1])
    assert len(found) <= kept


@given(st.integers(1, 6), st.integers(0, 8))
def test_a_revised_row_takes_the_place_of_the_one_before(rows: int, back: int) -> None:
    values = b"".join(np.array([n, n], CELL).tobytes() for n in range(rows))
    found = table(revised(values, back, (9.0, 9.0)), 2)[:, 0].tolist()

    assert [9.0 if n == rows - 1 - back else float(n) for n in range(rows)] == found


def test_what_is_filled_lies_on_the_line_between_its_neighbours() -> None:
    column = np.array([math.nan, 1.0, math.nan, 3.0, math.nan])
    found = filled(column, 2, 0.5)

    assert found is not None
    assert (1, [1.0, 2.0, 3.0], 2) == (found.first, found.values.tolist(), found.known)
    assert filled(column, 3, 0.5) is None
    assert filled(column, 2, 0.3) is None
    assert filled(np.full(3, math.nan), 0, 0.5) is None


def test_what_too_few_tell_or_nobody_can_count_is_a_gap() -> None:
    thin = readings(POLICY, window(0, requests=19, errors=0, scores=4))
    absent = readings(POLICY, window(0, latency=None, cost=None, quality=None))
    endless = readings(POLICY, window(0, latency=1e300, cost=math.inf))

    assert [True] * 4 + [False] == [math.isnan(each) for each in thin]
    assert [True, False, True, True, False] == [math.isnan(each) for each in absent]
    assert [True, False, True, False, False] == [math.isnan(each) for each in endless]
    assert (100.0, 0.01, 0.01, 90.0, 100.0) == readings(POLICY, window(0))


def test_packing_keeps_gaps_and_seven_digits() -> None:
    values = np.array([1.0, math.nan, 123.4567])

    np.testing.assert_allclose(unpacked(packed(values)), values, rtol=1e-7)


def test_metrics_without_a_name_of_their_own_are_called_as_they_are() -> None:
    assert "timeout rate" == called("timeout_rate")
    assert "7 days" == lasting(7, "24h")
    measure = Measure(metric=Metric.TIMEOUT_RATE, good=Good.DOWN, enough=1)
    assert ("timeout_rate",) == replace(POLICY, measures=(measure,)).columns
